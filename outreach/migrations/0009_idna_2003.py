from django.db import migrations, models


class Migration(migrations.Migration):
    """Suppressions up to now, and those of processes that run an earlier version, get the column's default: true."""

    dependencies = [
        ("outreach", "0008_channels"),
    ]

    operations = [
        migrations.AddField(
            "suppression",
            "is_idna_2003",
            models.BooleanField(default=False, db_default=True, editable=False),
        ),
    ]
