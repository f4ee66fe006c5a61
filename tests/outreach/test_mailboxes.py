"""One mailbox is one inbox in any spelling; existing pairs are kept and reported. Migrations of addresses and keys."""

import uuid
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from outreach.models import Inbox, Suppression, Touch
from outreach.services.inboxes import InboxNames, change_inbox
from outreach.services.intake import Intake
from tests.outreach.conftest import touch_data

pytestmark = pytest.mark.django_db


@pytest.fixture
def twins() -> tuple[Inbox, Inbox]:
    """Two inboxes created before the migration, which marks them."""
    older, newer = Inbox.objects.bulk_create(
        [Inbox(address="Anna@example.com"), Inbox(address="anna@example.com", shares_mailbox=True)]
    )
    return older, newer


def migrated_to(name: str) -> Any:
    """The models as of that migration."""
    return MigrationExecutor(connection).migrate([("outreach", name)]).apps


def migrated_to_the_newest() -> None:
    """Migrates back to the latest tables, for the tests that follow."""
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes("outreach"))


def warnings() -> list[str]:
    return [found.msg for found in run_checks(databases=["default"]) if found.id == "avo.W010"]


def test_the_database_keeps_one_inbox_a_mailbox(db: None) -> None:
    change_inbox("anna@example.com", {})
    with pytest.raises(IntegrityError), transaction.atomic():
        Inbox.objects.create(address="ANNA@example.com")
    Inbox.objects.create(address="ANNA@example.com", channel="dm")


def test_a_form_names_the_inbox_that_is_there(db: None) -> None:
    anna = change_inbox("anna@example.com", {})
    anna.clean()
    with pytest.raises(ValidationError, match=r"this is the mailbox of anna@example\.com; change that inbox"):
        Inbox(address="Anna@EXAMPLE.com").clean()


def test_the_migration_keeps_both_of_a_pair_and_marks_the_newer(transactional_db: None) -> None:
    try:
        old = migrated_to("0003_touch_payload").get_model("outreach", "Inbox")
        for address in ("B@x.com", "b@x.com", "c@x.com"):
            old.objects.create(address=address)
        for handle in ("@H", "@h"):
            old.objects.create(address=handle, channel="dm")
    finally:
        migrated_to_the_newest()
    assert list(Inbox.objects.filter(shares_mailbox=True).values_list("address", flat=True)) == ["b@x.com"]


def test_each_of_a_pair_is_named_by_its_own_spelling(twins: tuple[Inbox, Inbox], intake: Intake) -> None:
    older, newer = twins
    names = InboxNames()
    names.look_up(["Anna@example.com", "anna@example.com", "ANNA@example.com", "nobody@example.com"])
    assert names == {
        "Anna@example.com": older, "anna@example.com": newer, "ANNA@example.com": older, "nobody@example.com": None
    }  # fmt: skip
    for address, its in (("anna@example.com", newer), ("aNNa@example.com", older)):
        assert Touch.objects.get(pk=intake.accept(touch_data(inbox=address)).touch_id).inbox == its
    assert change_inbox("anna@example.com", {"per_day": 5}).pk == newer.pk
    newer.clean()


def test_a_check_warns_of_a_pair_until_one_is_paused(twins: tuple[Inbox, Inbox]) -> None:
    [warning] = warnings()
    assert "anna@example.com has the same mailbox as another inbox" in warning
    change_inbox("anna@example.com", {"paused": True})
    assert warnings() == []


def test_the_check_waits_for_its_migration(twins: tuple[Inbox, Inbox]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'outreach' AND name = '0004_mailboxes'")
    assert warnings() == []


def test_touches_from_before_owners_keep_their_keys(transactional_db: None) -> None:
    now = timezone.now()
    try:
        old = migrated_to("0004_mailboxes")
        inbox = old.get_model("outreach", "Inbox").objects.create(address="anna@example.com")
        for key in ("k", None, None):
            old.get_model("outreach", "Touch").objects.create(
                id=uuid.uuid4(), inbox=inbox, recipient="r@example.com", recipient_key="r", body="b", created_at=now,
                idempotency_key=key,
            )  # fmt: skip
    finally:
        migrated_to_the_newest()
    assert set(Touch.objects.values_list("idempotency_key", "owner", "draft_digest")) == {
        ("k", None, ""),
        (None, None, ""),
    }


def test_the_migration_marks_the_suppressions_of_idna_2003(transactional_db: None) -> None:
    try:
        migrated_to("0008_channels").get_model("outreach", "Suppression").objects.create(recipient_key="a", reason="x")
    finally:
        migrated_to_the_newest()
    Suppression.objects.create(recipient_key="b", reason="x")
    with connection.cursor() as cursor:  # as a process of the earlier version that still runs
        cursor.execute(
            "INSERT INTO outreach_suppression (recipient_key, recipient, reason, created_at) VALUES ('c', '', 'x', %s)",
            [timezone.now()],
        )
    marked = Suppression.objects.order_by("recipient_key").values_list("recipient_key", "is_idna_2003")
    assert list(marked) == [("a", True), ("b", False), ("c", True)]
