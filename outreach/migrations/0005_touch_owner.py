from django.db import migrations, models


class Migration(migrations.Migration):
    """An idempotency key belongs to the account that queued the touch. Who queued the touches that there are is not
    known: their owner is null."""

    dependencies = [
        ("outreach", "0004_mailboxes"),
    ]

    operations = [
        migrations.AddField(
            "touch", "owner", models.CharField(blank=True, default=None, max_length=160, null=True, verbose_name="account")
        ),
        migrations.AlterField(
            "touch", "owner", models.CharField(blank=True, default="", max_length=160, null=True, verbose_name="account")
        ),
        migrations.AddField(
            "touch", "draft_digest", models.CharField(blank=True, default="", editable=False, max_length=64)
        ),
        migrations.AlterField("touch", "idempotency_key", models.CharField(max_length=200, null=True)),
        migrations.AddConstraint(
            "touch", models.UniqueConstraint(fields=("idempotency_key", "owner"), name="outreach_touch_key")
        ),
    ]
