"""The admin pages of outreach."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext

from avo_project.models import OperatorAction
from outreach.domain.reservation import Outcome
from outreach.models import Inbox, Touch
from outreach.services.inboxes import change_inbox
from outreach.services.touch_operations import TouchOperations
from tests.outreach.conftest import WorkerHarness

pytestmark = pytest.mark.django_db
QUEUE_URL = "/admin/outreach/outreachqueue/"
CONFIRMED = {"confirmed": "yes", "reason": "asked by its owner"}


def test_the_queue_page_says_what_waits_and_why(
    operator_client: Any, inbox: Inbox, queue_up: Callable[..., list[Touch]], make_harness: Any
) -> None:
    queue_up(3)
    make_harness("w7", size=1).worker.step()
    change_inbox("anna@example.com", {"paused": True})
    page = operator_client.get(QUEUE_URL).content.decode()
    for text in ("anna@example.com", "Waits because its inbox is paused.", "w7", "Touches in flight"):
        assert text in page


def test_the_queue_page_needs_the_permission(client: Any, django_user_model: Any, redis_of: Any, db: None) -> None:
    staff = django_user_model.objects.create_user("staff", is_staff=True)
    client.force_login(staff)
    assert client.get(QUEUE_URL).status_code == 403
    staff.user_permissions.add(Permission.objects.get(codename="view_outreachqueue"))
    assert client.get(QUEUE_URL).status_code == 200


def test_limits_are_edited_in_the_list(operator_client: Any, inbox: Inbox) -> None:
    url = "/admin/outreach/inbox/"
    form = {
        "form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": inbox.pk, "form-0-per_minute": 7,
        "form-0-per_day": "", "form-0-min_gap_seconds": "2.5", "_save": "Save",
        "change_reason": "asked by its owner",
    }  # fmt: skip
    assert operator_client.post(url, form).status_code == 302
    inbox.refresh_from_db()
    assert (inbox.per_minute, inbox.per_day, inbox.min_gap_seconds) == (7, None, 2.5)
    assert operator_client.post(url, {**form, "form-0-per_minute": 0}).status_code == 200
    inbox.refresh_from_db()
    assert inbox.per_minute == 7


def test_the_inbox_form_checks_as_the_command_does(operator_client: Any, inbox: Inbox) -> None:
    form = {
        "address": "bert@example.com",
        "channel": "email",
        "timezone": "Nowhere",
        "url": "",
        "change_reason": "new desk",
    }
    page = operator_client.post("/admin/outreach/inbox/add/", form)
    assert b"not an IANA time zone" in page.content
    dm = {**form, "channel": "dm", "url": "https://0177.0.0.1/", "timezone": "UTC"}
    assert b"is not a public address" in operator_client.post("/admin/outreach/inbox/add/", dm).content
    assert operator_client.post("/admin/outreach/inbox/add/", {**form, "timezone": "UTC"}).status_code == 302


def test_a_touch_shows_its_timeline(
    operator_client: Any, inbox: Inbox, queue_up: Callable[..., list[Touch]], harness: WorkerHarness
) -> None:
    harness.sender.answer = Outcome("retry", 450, "450 4.2.0 greylisted")
    [touch] = queue_up(1)
    harness.work()
    assert b"450 4.2.0 greylisted" in operator_client.get(f"/admin/outreach/touch/{touch.pk}/change/").content
    found = operator_client.get("/admin/outreach/touch/", {"q": "r1@example.com"})
    assert str(touch.pk) in found.content.decode()


def test_the_other_pages_open(operator_client: Any, inbox: Inbox) -> None:
    for page in ("inbox", "touch", "suppression"):
        assert operator_client.get(f"/admin/outreach/{page}/").status_code == 200


def test_metrics_show_the_queue(client: Any, inbox: Inbox, queue_up: Callable[..., list[Touch]]) -> None:
    queue_up(2)
    page = client.get("/metrics", HTTP_HOST="localhost").content.decode()
    assert 'avo_outreach_touches{status="queued"} 2.0' in page
    assert "avo_outreach_lanes_due 1.0" in page


def test_an_action_asks_first_needs_its_permission_and_is_logged(
    client: Any, django_user_model: Any, inbox: Inbox, queue_up: Callable[..., list[Touch]]
) -> None:
    [touch] = queue_up(1)
    staff = django_user_model.objects.create_user("staff", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_touch"))
    client.force_login(staff)
    url, form = "/admin/outreach/touch/", {"action": "cancel", "_selected_action": [str(touch.pk)]}
    client.post(url, {**form, **CONFIRMED})
    assert Touch.objects.get().status == "queued"
    staff.user_permissions.add(Permission.objects.get(codename="operate_touch"))
    assert b"Yes, cancel" in client.post(url, form).content
    assert Touch.objects.get().status == "queued"
    assert client.post(url, {**form, **CONFIRMED}, follow=True).status_code == 200
    assert Touch.objects.get().status == "cancelled"
    assert LogEntry.objects.get().change_message == "Cancel: 1 of 1 cancelled."


def test_inboxes_are_paused_and_resumed(operator_client: Any, inbox: Inbox) -> None:
    form = {"_selected_action": [str(inbox.pk)], **CONFIRMED}
    operator_client.post("/admin/outreach/inbox/", {**form, "action": "pause"})
    assert Inbox.objects.get().paused
    operator_client.post("/admin/outreach/inbox/", {**form, "action": "resume"})
    assert not Inbox.objects.get().paused


def test_an_inbox_is_paused_from_the_queue_page_in_any_spelling(operator_client: Any, inbox: Inbox) -> None:
    form = {"inbox": "Anna@Example.com", "reason": "asked", "confirmed": "yes"}
    operator_client.post(f"{QUEUE_URL}do/pause/", form)
    assert Inbox.objects.get().paused


def test_a_filtered_action_tells_how_many_it_would_change_and_leaves_why(
    operator_client: Any, inbox: Inbox, queue_up: Callable[..., list[Touch]]
) -> None:
    touches = queue_up(4)
    Touch.objects.filter(pk__in=[touches[0].pk, touches[1].pk]).update(status="dead")
    url = "/admin/outreach/touch/?q=anna%40example.com"
    form = {"action": "redrive", "_selected_action": [str(touches[0].pk)], "select_across": "1"}
    asked = operator_client.post(url, form).content.decode()
    assert "4 selected." in asked
    assert "Affected: 2." in asked
    assert b"A reason is required." in operator_client.post(url, {**form, "confirmed": "yes"}).content
    assert Touch.objects.filter(status="dead").count() == 2
    operator_client.post(url, {**form, **CONFIRMED})
    row = OperatorAction.objects.get()
    assert (row.role, row.action, row.how_many, row.outcome) == ("outreach", "Redrive", 2, "succeeded")
    assert row.subject == "all 4 of the list [address]"
    assert row.reason == "asked by its owner"


@pytest.mark.parametrize(
    ("term", "found"),
    [
        ("anna@example.com", 2), (" ANNA@Example.com ", 2), ("bert@example.com", 2), ("R1@example.com", 1),
        ("key 2", 1), ("nobody@example.com", 0), ("anna", 0), ("@", 0), ("", 3),
    ],
)  # fmt: skip
def test_touches_are_found_by_inbox_recipient_or_key(
    operator_client: Any, inbox: Inbox, queue_up: Callable[..., list[Touch]], term: str, found: int
) -> None:
    change_inbox("bert@example.com", {})
    queue_up(1)
    queue_up(1, recipient="bert@example.com", idempotency_key="key 2")
    [last] = queue_up(1, inbox="bert@example.com", recipient="c@example.com")
    page = operator_client.get("/admin/outreach/touch/", {"q": term})
    assert page.context_data["cl"].result_count == found
    for written in (str(last.pk), last.pk.hex, str(last.pk).upper()):
        assert list(operator_client.get("/admin/outreach/touch/", {"q": written}).context_data["cl"].result_list) == [
            last
        ]


def test_the_search_for_touches_reads_no_whole_table(operator_client: Any, inbox: Inbox) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL reads a small table as a whole, whatever its indexes")
    for term in ("anna@example.com", "nobody@example.com", "0192aaaa-0000-7000-8000-000000000001"):
        cl = operator_client.get("/admin/outreach/touch/", {"q": term}).context_data["cl"]
        plan = cl.queryset.order_by().explain()
        assert "SCAN outreach_touch" not in plan, plan


def test_a_failing_row_action_says_so_and_is_written_down(
    operator_client: Any, inbox: Inbox, queue_up: Callable[..., list[Touch]], monkeypatch: pytest.MonkeyPatch
) -> None:
    [touch] = queue_up(1)
    monkeypatch.setattr(TouchOperations, "cancel", lambda self, chosen: 1 // 0)
    form = {"action": "cancel", "_selected_action": [str(touch.pk)], **CONFIRMED}
    page = operator_client.post("/admin/outreach/touch/", form, follow=True).content.decode()
    assert "Cancel failed" in page
    assert OperatorAction.objects.get().outcome == "failed"


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("cancel", "queued", "cancelled"),
        ("redrive", "dead", "queued"),
        ("resolve_sent", "unknown", "sent"),
        ("send_again", "unknown", "queued"),
    ],
)
def test_all_touches_of_an_inbox_are_changed_from_the_list_of_touches(
    operator_client: Any, inbox: Inbox, queue_up: Callable[..., list[Touch]], action: str, before: str, after: str
) -> None:
    change_inbox("bert@example.com", {})
    [first, _] = queue_up(2)
    queue_up(1, inbox="bert@example.com")
    Touch.objects.update(status=before)
    url = f"/admin/outreach/touch/?q=anna%40example.com&status__exact={before}"
    form = {"action": action, "_selected_action": [str(first.pk)], "select_across": "1"}
    assert "Affected: 2." in operator_client.post(url, form).content.decode()
    assert set(Touch.objects.values_list("status", flat=True)) == {before}
    operator_client.post(url, {**form, **CONFIRMED})
    assert sorted(Touch.objects.values_list("inbox__address", "status")) == [
        ("anna@example.com", after), ("anna@example.com", after), ("bert@example.com", before)
    ]  # fmt: skip
    assert OperatorAction.objects.get().how_many == 2
    operator_client.post("/admin/outreach/touch/", {**form, **CONFIRMED})
    assert set(Touch.objects.values_list("status", flat=True)) == {after}


def test_an_action_on_an_unknown_inbox_is_refused(operator_client: Any, inbox: Inbox) -> None:
    form = {"inbox": "nobody@example.com", **CONFIRMED}
    page = operator_client.post(f"{QUEUE_URL}do/pause/", form, follow=True)
    assert "there is no inbox" in page.content.decode()


def test_the_queue_page_links_each_state_to_its_touches(
    client: Any, django_user_model: Any, inbox: Inbox, queue_up: Callable[..., list[Touch]]
) -> None:
    queue_up(1)
    staff = django_user_model.objects.create_user("staff", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_outreachqueue"))
    client.force_login(staff)
    assert "status__exact" not in client.get(QUEUE_URL).content.decode()
    staff.user_permissions.add(Permission.objects.get(codename="view_touch"))
    assert '<a href="/admin/outreach/touch/?status__exact=dead">' in client.get(QUEUE_URL).content.decode()


def test_the_counts_of_the_queue_page_read_no_touch(
    operator_client: Any, inbox: Inbox, queue_up: Callable[..., list[Touch]]
) -> None:
    """They count the entries of an index; counting ids would read every row."""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL reads a small table as a whole, whatever its indexes")
    queue_up(1)
    with CaptureQueriesContext(connection) as queries:
        operator_client.get(QUEUE_URL)
    counting = [one["sql"] for one in queries if "COUNT(" in one["sql"] and "outreach_touch" in one["sql"]]
    assert len(counting) == 5
    with connection.cursor() as cursor:
        for sql in counting:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            plan = " ".join(str(row) for row in cursor.fetchall())
            assert "USING COVERING INDEX outreach_touch" in plan, sql
