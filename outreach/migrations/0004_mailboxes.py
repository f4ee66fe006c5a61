from django.db import migrations, models
from django.db.models.functions import Lower


def note_twins(apps, schema_editor):
    """Of the inboxes whose addresses differ in letter case alone the oldest has the mailbox; the others share it. They
    are kept, for each has touches, limits and a log of sends of its own; ``check --database default`` names them."""
    inboxes = apps.get_model("outreach", "Inbox").objects.using(schema_editor.connection.alias)
    seen, twins = set(), []
    for pk, address in inboxes.filter(channel="email").order_by("pk").values_list("pk", "address"):
        if address.lower() in seen:
            twins.append(pk)
        seen.add(address.lower())
    inboxes.filter(pk__in=twins).update(shares_mailbox=True)


class Migration(migrations.Migration):

    dependencies = [
        ("outreach", "0003_touch_payload"),
    ]

    operations = [
        migrations.AddField("inbox", "shares_mailbox", models.BooleanField(default=False, editable=False)),
        migrations.RunPython(note_twins, migrations.RunPython.noop),
        migrations.AddConstraint(
            "inbox",
            models.UniqueConstraint(
                Lower("address"),
                condition=models.Q(("channel", "email"), ("shares_mailbox", False)),
                name="outreach_inbox_mailbox",
            ),
        ),
    ]
