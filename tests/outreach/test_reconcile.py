"""The ledger is the truth; the queue can be made again from it."""

from collections.abc import Callable
from typing import Any

import pytest

from outreach.inbox_settings import change_inbox
from outreach.inspection import QueueView
from outreach.lanes import Lanes
from outreach.models import Inbox, Touch
from outreach.outcome import Outcome
from outreach.reconcile import Reconciled
from tests.doubles import FixedClock
from tests.outreach.conftest import Desk

pytestmark = pytest.mark.django_db
Queue = Callable[..., list[Touch]]


def test_everything_unfinished_comes_back_and_nothing_sent_is_sent_again(
    inbox: Inbox, queue_up: Queue, make_desk: Callable[..., Desk], redis_of: Any, clock: FixedClock
) -> None:
    desk = make_desk()
    desk.sender.answers["r3@example.com"] = Outcome("retry", 450, "450 later")
    queue_up(4)
    desk.work()
    queue_up(3, recipient="later@example.com", not_before=clock.now + 10)
    queue_up(2, recipient="now@example.com")
    redis_of("outreach").flushall()
    assert desk.reconciler.everything(clock.now) == Reconciled(unfinished=6, back=6, adopted=0)
    assert desk.reconciler.everything(clock.now) == Reconciled(unfinished=6, back=0, adopted=0)
    desk.sender.answers.clear()
    clock.advance(20)
    desk.work()
    assert set(Touch.objects.values_list("status", flat=True)) == {"sent"}
    assert len(desk.sender.sent) == 4 + 1 + 5  # the greylisted one went a second time


def test_a_touch_in_hand_keeps_its_token(
    inbox: Inbox, queue_up: Queue, make_desk: Callable[..., Desk], redis_of: Any, clock: FixedClock, view: QueueView
) -> None:
    desk = make_desk()
    queue_up(2)
    desk.worker.step()
    redis_of("outreach").flushall()
    assert desk.reconciler.everything(clock.now) == Reconciled(unfinished=2, back=0, adopted=2)
    assert view.overview().in_flight == 2
    desk.work()
    assert set(Touch.objects.values_list("status", flat=True)) == {"sent"}
    assert (view.overview().in_flight, len(desk.sender.sent)) == (0, 2)


def test_a_touch_in_a_dead_workers_hand_becomes_unknown(
    inbox: Inbox, queue_up: Queue, make_desk: Callable[..., Desk], redis_of: Any, clock: FixedClock
) -> None:
    queue_up(1)
    make_desk("dead").worker.step()
    redis_of("outreach").flushall()
    alive = make_desk("alive")
    alive.reconciler.everything(clock.now)
    clock.advance(61)
    alive.work()
    assert Touch.objects.get().status == "unknown"
    assert alive.sender.sent == []


def test_limits_hold_across_the_loss(
    inbox: Inbox, queue_up: Queue, make_desk: Callable[..., Desk], redis_of: Any, clock: FixedClock
) -> None:
    change_inbox("anna@example.com", {"per_minute": 3, "per_day": 10})
    desk = make_desk()
    queue_up(6)
    desk.work()
    redis_of("outreach").flushall()
    clock.advance(30)
    stepped = desk.work()
    assert len(desk.sender.sent) == 3
    assert stepped.next_seconds == pytest.approx(30, abs=0.1)


def test_a_sweep_heals_an_enqueue_that_died_before_its_push(
    inbox: Inbox, queue_up: Queue, make_desk: Callable[..., Desk], lanes: Lanes, clock: FixedClock, view: QueueView
) -> None:
    desk = make_desk()
    [lost, kept] = queue_up(2)
    lanes.withdraw(inbox.pk, [str(lost.pk)])
    assert desk.reconciler.sweep(clock.now, older_than_seconds=60) == 0  # may still be on its way
    clock.advance(61)
    assert desk.reconciler.sweep(clock.now, older_than_seconds=60) == 1
    assert view.queued_ids(inbox.pk) == {str(lost.pk), str(kept.pk)}


def test_no_token_is_given_out_twice(
    inbox: Inbox, queue_up: Queue, make_desk: Callable[..., Desk], redis_of: Any, clock: FixedClock
) -> None:
    """Even when the server's clock is set back while its data is lost."""
    desk = make_desk()
    desk.sender.answer = Outcome("retry", 450, "450 later")
    [touch] = queue_up(1)
    desk.work()
    touch.refresh_from_db()
    before = touch.token
    redis_of("outreach").flushall()
    clock.advance(-86_400)
    desk.reconciler.everything(clock.now)
    clock.advance(3600 * 5)
    Touch.objects.update(due_at=None)
    redis_of("outreach").flushall()
    desk.work()
    touch.refresh_from_db()
    assert touch.tries == 2
    assert touch.token > before
