"""Why the next touch of many inboxes waits: the same answer as for one inbox, with few commands."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from outreach import keys
from outreach.models import Inbox, Touch
from outreach.services.inboxes import change_inbox
from outreach.services.waiting import inbox_forecasts, inboxes_waiting
from outreach.store.inspection import QueueView
from tests.outreach.conftest import WorkerHarness

pytestmark = pytest.mark.django_db


def wait_text(inbox: Inbox) -> str:
    view = QueueView.connect()
    [found] = inbox_forecasts([inbox], view, view.now_ms())
    return found.text


def test_a_paused_inbox_and_one_resumed_a_moment_ago(
    inbox: Inbox, queue_up: Callable[..., list[Touch]], harness: WorkerHarness
) -> None:
    change_inbox(inbox.address, {"paused": True})
    queue_up(2)
    harness.work()
    inbox.refresh_from_db()
    assert wait_text(inbox) == "Waits because its inbox is paused."
    Inbox.objects.update(paused=False)
    inbox.refresh_from_db()
    assert "within seconds" in wait_text(inbox)


def test_it_says_what_the_rules_say(inbox: Inbox, redis_of: Any) -> None:
    change_inbox(inbox.address, {"per_minute": 1})
    inbox.refresh_from_db()
    view = QueueView.connect()
    now_ms = view.now_ms()
    redis_of("outreach").rpush(keys.log(inbox.pk), now_ms - 1000)
    redis_of("outreach").zadd(keys.READY, {str(inbox.pk): now_ms + 59_001})
    [found] = inbox_forecasts([inbox], view, now_ms)
    one = inboxes_waiting([inbox], view, now_ms)[inbox.pk]
    assert (found.text, found.until) == (one.text, one.until)
    assert "limit per minute" in found.text


def test_touches_that_wait_for_their_own_time(
    inbox: Inbox, queue_up: Callable[..., list[Touch]], harness: WorkerHarness
) -> None:
    queue_up(1, not_before=time.time() + 3600)
    harness.work()
    assert wait_text(inbox) == "Waits until its touches are due."


def test_no_inbox_needs_no_command(redis_of: Any) -> None:
    assert inbox_forecasts([], QueueView.connect(), 0) == []
