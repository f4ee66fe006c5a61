"""Django's forms on the project's tables: each requires a reason and audits old and new values."""

from typing import Any

import pytest
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.auth.models import Permission
from django.db import DatabaseError

from avo_project.models import OperatorAction
from outreach.models import Inbox, Suppression
from tests.avo_project.test_admin_walk import RECIPIENT
from throttling.models import TierOverride

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_of")]
INBOXES, OVERRIDES, SUPPRESSIONS = (
    "/admin/outreach/inbox/", "/admin/throttling/tieroverride/", "/admin/outreach/suppression/"
)  # fmt: skip
WHY = {"change_reason": f"asked by {RECIPIENT}"}
REDACTED = "asked by [address]"


@pytest.fixture
def inbox() -> Inbox:
    return Inbox.objects.create(address="anna@example.com", per_minute=3, url="https://u:secret@example.com/in")


def inbox_form(inbox: Inbox, **changes: Any) -> dict[str, Any]:
    kept = {"address": inbox.address, "channel": "email", "timezone": "UTC", "url": inbox.url, "per_minute": 3}
    return kept | changes


def rows_form(inbox: Inbox, per_minute: int) -> dict[str, Any]:
    return {
        "form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": inbox.pk, "form-0-per_minute": per_minute,
        "form-0-per_day": "", "form-0-min_gap_seconds": "", "_save": "Save",
    }  # fmt: skip


def the_row() -> tuple[Any, ...]:
    row = OperatorAction.objects.get()
    assert (row.username, row.reason) == ("operator", REDACTED)
    return row.role, row.action, row.subject, row.how_many, row.outcome, row.message


def test_a_form_without_a_reason_changes_nothing(operator_client: Any, inbox: Inbox) -> None:
    answer = operator_client.post(f"{INBOXES}{inbox.pk}/change/", inbox_form(inbox, per_minute=5, change_reason=" "))
    assert b"Reason for this change" in answer.content
    assert b"This field is required." in answer.content
    inbox.refresh_from_db()
    assert inbox.per_minute == 3
    assert not OperatorAction.objects.exists()


def test_a_changed_row_leaves_its_old_and_new_values(operator_client: Any, inbox: Inbox) -> None:
    new = {"per_minute": 5, "url": "https://u:hidden@example.com/in"}
    operator_client.post(f"{INBOXES}{inbox.pk}/change/", inbox_form(inbox, **new) | WHY)
    change = "per minute: 3 → 5"
    assert the_row()[:5] == ("outreach", "Change inbox", "anna@example.com", 1, "succeeded")
    message = the_row()[5]
    assert change in message
    assert "secret" not in message
    assert LogEntry.objects.get().get_change_message() == "Changed Url and Per minute."


def test_a_form_that_changes_nothing_says_so(operator_client: Any, inbox: Inbox) -> None:
    operator_client.post(f"{INBOXES}{inbox.pk}/change/", inbox_form(inbox) | WHY)
    assert the_row()[3:] == (0, "succeeded", "No changes.")


def test_an_added_row_leaves_what_was_given(operator_client: Any) -> None:
    """An override's own reason is the reason."""
    form = {"subject": "user:user_a", "tier": "pro", "expires_at_0": "", "expires_at_1": ""}
    assert "change_reason" not in operator_client.get(f"{OVERRIDES}add/").content.decode()
    operator_client.post(f"{OVERRIDES}add/", form | {"reason": WHY["change_reason"]})
    assert the_row() == (
        "throttling", "Add tier override", "user:user_a: pro", 1, "succeeded",
        "subject: nothing → user:user_a; tier: nothing → pro; reason: nothing → asked by [address]",
    )  # fmt: skip


def test_rows_edited_in_the_list_need_one_reason(operator_client: Any, inbox: Inbox) -> None:
    refused = operator_client.post(INBOXES, rows_form(inbox, 7)).content.decode()
    assert "A reason is required. No changes were made." in refused
    assert 'value="7"' in refused
    assert not OperatorAction.objects.exists()
    operator_client.post(INBOXES, rows_form(inbox, 7) | WHY)
    assert the_row() == ("outreach", "Change inbox", "anna@example.com", 1, "succeeded", "per minute: 3 → 7")


def test_a_deletion_asks_why(operator_client: Any) -> None:
    row = TierOverride.objects.create(subject="user:user_a", tier="pro", reason="trial")
    url = f"{OVERRIDES}{row.pk}/delete/"
    assert b"A reason is required." in operator_client.post(url, {"post": "yes"}).content
    assert TierOverride.objects.exists()
    operator_client.post(url, {"post": "yes"} | WHY)
    assert not TierOverride.objects.exists()
    assert the_row() == ("throttling", "Delete tier override", "user:user_a: pro", 1, "succeeded", "Deleted.")


def test_chosen_rows_are_deleted_the_way_of_every_action(operator_client: Any) -> None:
    rows = [TierOverride.objects.create(subject=f"user:user_{n}", tier="pro", reason="trial") for n in range(3)]
    form = {"action": "delete_selected", "_selected_action": [row.pk for row in rows[:2]]}
    assert b"Affected: 2." in operator_client.post(OVERRIDES, form).content
    assert TierOverride.objects.count() == 3
    operator_client.post(OVERRIDES, form | {"confirmed": "yes", "reason": WHY["change_reason"]})
    assert TierOverride.objects.count() == 1
    assert the_row()[1:] == ("Delete", "user:user_0: pro, user:user_1: pro", 2, "succeeded", "2 of 2 deleted.")
    assert set(LogEntry.objects.values_list("action_flag", flat=True)) == {DELETION}


def test_deleting_rows_in_bulk_needs_the_permission_to_delete(client: Any, django_user_model: Any) -> None:
    row = TierOverride.objects.create(subject="user:user_a", tier="pro", reason="trial")
    staff = django_user_model.objects.create_user("staff", is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(codename__in=["view_tieroverride", "change_tieroverride"]))
    client.force_login(staff)
    form = {"action": "delete_selected", "_selected_action": [row.pk], "confirmed": "yes", "reason": "r"}
    client.post(OVERRIDES, form)
    assert TierOverride.objects.exists()
    assert not OperatorAction.objects.exists()


def test_what_other_rows_need_is_not_deleted(operator_client: Any, inbox: Inbox) -> None:
    inbox.touches.create(pk="00000000-0000-4000-8000-000000000000", created_at=inbox.created_at)
    form = {"action": "delete_selected", "_selected_action": [inbox.pk], "confirmed": "yes"}
    page = operator_client.post(INBOXES, form | {"reason": WHY["change_reason"]}, follow=True).content.decode()
    assert "Delete failed: Cannot delete some instances" in page
    assert Inbox.objects.exists()
    assert the_row()[3:5] == (0, "failed")


@pytest.mark.parametrize("path", ["{pk}/change/", "{pk}/delete/", ""])
def test_a_form_that_fails_says_so_and_changes_nothing(
    operator_client: Any, inbox: Inbox, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def locked(*args: Any, **options: Any) -> None:
        raise DatabaseError(f"locked while {RECIPIENT} was read")

    monkeypatch.setattr(Inbox, "save", locked)
    monkeypatch.setattr(Inbox, "delete", locked)
    form = {"post": "yes"} | inbox_form(inbox, per_minute=5) | rows_form(inbox, 5) | WHY
    page = operator_client.post(INBOXES + path.format(pk=inbox.pk), form, follow=True).content.decode()
    verb = "Delete" if "delete" in path else "Change"
    assert f"{verb} inbox failed: locked while [address] was read" in page
    assert Inbox.objects.get().per_minute == 3
    assert the_row()[3:5] == (0, "failed")
    assert not LogEntry.objects.exists()


def test_an_audit_that_cannot_be_written_undoes_the_change(
    operator_client: Any, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OperatorAction, "save", lambda self, **options: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        operator_client.post(f"{INBOXES}{inbox.pk}/change/", inbox_form(inbox, per_minute=5) | WHY)
    inbox.refresh_from_db()
    assert inbox.per_minute == 3


def test_who_may_only_look_is_asked_for_no_reason(client: Any, django_user_model: Any, inbox: Inbox) -> None:
    staff = django_user_model.objects.create_user("staff", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_inbox"))
    client.force_login(staff)
    for path in (INBOXES, f"{INBOXES}{inbox.pk}/change/"):
        assert "change_reason" not in client.get(path).content.decode()


def test_a_lifted_suppression_names_nobody(operator_client: Any) -> None:
    row = Suppression.objects.create(recipient_key="k" * 64, recipient=RECIPIENT, reason=f"550 <{RECIPIENT}> unknown")
    operator_client.post(f"{SUPPRESSIONS}{row.pk}/delete/", {"post": "yes"} | WHY)
    assert not Suppression.objects.exists()
    assert the_row()[:3] == ("outreach", "Delete suppression", str(row.pk))
    assert LogEntry.objects.get().object_repr == str(row.pk)
