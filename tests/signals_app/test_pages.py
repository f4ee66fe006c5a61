import uuid
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from avo_project.models import OperatorAction
from signals_app import keys
from signals_app.admin.pages import ACTIONS
from signals_app.models import Execution
from signals_app.store.group import ConsumerGroup
from signals_app.store.stream import SignalStream
from tests.signals_app.conftest import event

PAGE = "/admin/signals_app/livestream/"


def test_the_page_shows_groups_consumers_events_and_dead_letters(
    operator_client: Any, stream: SignalStream, redis_client: Any, group: ConsumerGroup
) -> None:
    stream.publish([event(1, symbol="AAPL"), event(2, symbol="BRK.B")], publisher="p", batch=1)
    redis_client.xadd(keys.LIVE, {"<b>": "x"}, id="99999999999999999-0")
    group.acquire_name(["worker-7"], "token")
    (held,) = group.read("worker-7", count=1, block_ms=0)
    group.move_to_dead_letters("worker-7", held.entry_id, reason="rejected: <i>no market</i>", deliveries=2)
    page = operator_client.get(PAGE).content.decode()
    for text in ("apex-group", "worker-7", "alive", "AAPL", "BRK.B", "rejected: &lt;i&gt;no market&lt;/i&gt;"):
        assert text in page


def test_the_page_of_an_empty_stream(operator_client: Any, redis_client: Any) -> None:
    answer = operator_client.get(PAGE)
    assert answer.status_code == 200
    assert "No entries" in answer.content.decode()


def test_staff_without_the_permission_see_nothing(redis_client: Any, django_user_model: Any, db: None) -> None:
    user = django_user_model.objects.create_user("clerk", password="clerk", is_staff=True)
    browser = Client()
    browser.force_login(user)
    assert browser.get(PAGE).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_livestream"))
    assert browser.get(PAGE).status_code == 200
    assert browser.post(f"{PAGE}do/trim/").status_code == 403


def test_trimming_asks_first_and_is_logged(operator_client: Any, redis_client: Any, group: ConsumerGroup) -> None:
    asked = operator_client.post(f"{PAGE}do/trim/").content.decode()
    assert "has 0 entries" in asked
    assert LogEntry.objects.count() == 0
    answer = operator_client.post(f"{PAGE}do/trim/", {"confirmed": "yes", "reason": "too long"}, follow=True)
    assert "0 entries were trimmed" in answer.content.decode()
    assert LogEntry.objects.get().change_message == "Trim the stream: 0 entries were trimmed."


def test_an_action_asks_for_what_it_needs(operator_client: Any, redis_client: Any, group: ConsumerGroup) -> None:
    held = redis_client.xadd(keys.LIVE, {"symbol": "AAPL"}).decode()
    group.read("one", count=1, block_ms=0)
    asked = operator_client.post(f"{PAGE}do/move_to_dead_letters/").content.decode()
    for name in ("group", "entry_id", "reason"):
        assert f'name="{name}" required' in asked
    incomplete = operator_client.post(
        f"{PAGE}do/move_to_dead_letters/", {"confirmed": "yes", "group": "apex-group"}, follow=True
    )
    assert "Required: entry id" in incomplete.content.decode()
    given = {"confirmed": "yes", "group": "apex-group", "entry_id": held, "reason": "wrong desk"}
    assert (
        "is in the dead letters"
        in operator_client.post(f"{PAGE}do/move_to_dead_letters/", given, follow=True).content.decode()
    )
    assert redis_client.xlen(keys.DEAD) == 1
    again = operator_client.post(f"{PAGE}do/move_to_dead_letters/", given, follow=True).content.decode()
    assert "is not pending" in again
    assert LogEntry.objects.count() == 2
    assert list(OperatorAction.objects.values_list("outcome", flat=True)) == ["failed", "succeeded"]


@pytest.mark.parametrize(
    "name", ["trim", "claim", "acknowledge", "move_to_dead_letters", "redrive", "replay", "forget"]
)
def test_every_action_needs_a_post_and_its_own_permission(
    redis_client: Any, django_user_model: Any, db: None, name: str
) -> None:
    user = django_user_model.objects.create_user("clerk", password="clerk", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_livestream"))
    browser = Client()
    browser.force_login(user)
    assert browser.post(f"{PAGE}do/{name}/", {"confirmed": "yes", "reason": "r"}).status_code == 403
    permission = next(action.permission for action in ACTIONS if action.name == name)
    user.user_permissions.add(Permission.objects.get(codename=permission))
    assert browser.get(f"{PAGE}do/{name}/").status_code == 405
    assert browser.post(f"{PAGE}do/{name}/").status_code == 200


def test_executions_can_be_seen_and_searched_but_not_changed(operator_client: Any, redis_client: Any) -> None:
    row = Execution.objects.create(
        signal_id=uuid.uuid4(), symbol="AAPL", direction="long", confidence=0.5, executed_at=timezone.now()
    )
    listing = operator_client.get("/admin/signals_app/execution/?q=AAPL")
    assert str(row.signal_id) in listing.content.decode()
    assert operator_client.get(f"/admin/signals_app/execution/{row.pk}/change/").status_code == 200
    assert operator_client.post(f"/admin/signals_app/execution/{row.pk}/change/", {"symbol": "X"}).status_code == 403
    assert operator_client.post(f"/admin/signals_app/execution/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert operator_client.get("/admin/signals_app/execution/add/").status_code == 403


def test_the_index_lists_the_stream_and_the_executions(operator_client: Any, redis_client: Any) -> None:
    index = operator_client.get("/admin/").content.decode()
    assert PAGE in index
    assert "/admin/signals_app/execution/" in index


def test_no_action_is_offered_on_what_another_program_works_on(operator_client: Any, redis_client: Any) -> None:
    redis_client.xadd(keys.LIVE, {"symbol": "AAPL"})
    redis_client.xgroup_create(keys.LIVE, "desk", id="0")
    redis_client.xreadgroup("desk", "node-1", {keys.LIVE: ">"})
    page = operator_client.get(f"{PAGE}?group=desk").content.decode()
    assert "Pending in desk" in page
    assert "active" in page
    for button in ("Free…", "Acknowledge…", "Move to dead letters…"):
        assert button not in page
    redis_client.xgroup_create(keys.LIVE, keys.DEFAULT_GROUP, id="0")
    redis_client.xreadgroup(keys.DEFAULT_GROUP, "node-1", {keys.LIVE: ">"})
    assert "Acknowledge…" in operator_client.get(PAGE).content.decode()
