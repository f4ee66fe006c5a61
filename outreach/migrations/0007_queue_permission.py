from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('outreach', '0006_database_defaults'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='outreachqueue',
            options={'default_permissions': ('view',), 'managed': False, 'permissions': [('operate_outreachqueue', 'Can pause and resume inboxes and reconcile the outreach queue')], 'verbose_name': 'outreach queue', 'verbose_name_plural': 'outreach queue'},
        ),
    ]
