from django.db import migrations, models


class Migration(migrations.Migration):
    """The version before writes rows without these columns, while both versions run beside each other."""

    dependencies = [
        ("outreach", "0005_touch_owner"),
    ]

    operations = [
        migrations.AlterField(
            "inbox", "shares_mailbox", models.BooleanField(db_default=False, default=False, editable=False)
        ),
        migrations.AlterField(
            "touch",
            "draft_digest",
            models.CharField(blank=True, db_default="", default="", editable=False, max_length=64),
        ),
    ]
