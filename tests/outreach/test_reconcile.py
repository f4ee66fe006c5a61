"""Restoring the queue from the ledger."""

from collections.abc import Callable
from typing import Any

import pytest

from outreach.domain.inbox_rules import NEVER_MS, EffectiveLimits
from outreach.domain.reservation import Outcome
from outreach.domain.reservation_plan import SweepBacklog
from outreach.models import Inbox, Touch
from outreach.services.inboxes import change_inbox
from outreach.services.reconcile import Reconciled
from outreach.store.inspection import QueueView
from outreach.store.lanes import Lanes
from tests.doubles import FixedClock
from tests.outreach.conftest import WorkerHarness

pytestmark = pytest.mark.django_db
Queue = Callable[..., list[Touch]]


def test_everything_unfinished_comes_back_and_nothing_sent_is_sent_again(
    inbox: Inbox, queue_up: Queue, make_harness: Callable[..., WorkerHarness], redis_of: Any, clock: FixedClock
) -> None:
    harness = make_harness()
    harness.sender.answers["r3@example.com"] = Outcome("retry", 450, "450 later")
    queue_up(4)
    harness.work()
    queue_up(3, recipient="later@example.com", not_before=clock.now + 10)
    queue_up(2, recipient="now@example.com")
    redis_of("outreach").flushall()
    assert harness.reconciler.reconcile_all(clock.now) == Reconciled(unfinished=6, back=6, adopted=0)
    assert harness.reconciler.reconcile_all(clock.now) == Reconciled(unfinished=6, back=0, adopted=0)
    harness.sender.answers.clear()
    clock.advance(300)
    harness.work()
    assert set(Touch.objects.values_list("status", flat=True)) == {"sent"}
    assert len(harness.sender.sent) == 4 + 1 + 5  # the greylisted one went a second time


def test_a_touch_in_hand_keeps_its_token(
    inbox: Inbox,
    queue_up: Queue,
    make_harness: Callable[..., WorkerHarness],
    redis_of: Any,
    clock: FixedClock,
    view: QueueView,
) -> None:
    harness = make_harness()
    queue_up(2)
    harness.worker.step()
    redis_of("outreach").flushall()
    assert harness.reconciler.reconcile_all(clock.now) == Reconciled(unfinished=2, back=0, adopted=2)
    assert view.overview().in_flight == 2
    harness.work()
    assert set(Touch.objects.values_list("status", flat=True)) == {"sent"}
    assert (view.overview().in_flight, len(harness.sender.sent)) == (0, 2)


def test_a_touch_in_a_dead_workers_hand_becomes_unknown(
    inbox: Inbox, queue_up: Queue, make_harness: Callable[..., WorkerHarness], redis_of: Any, clock: FixedClock
) -> None:
    queue_up(1)
    make_harness("dead").worker.step()
    redis_of("outreach").flushall()
    alive = make_harness("alive")
    alive.reconciler.reconcile_all(clock.now)
    clock.advance(61)
    alive.work()
    assert Touch.objects.get().status == "unknown"
    assert alive.sender.sent == []


def test_limits_hold_across_the_loss(
    inbox: Inbox, queue_up: Queue, make_harness: Callable[..., WorkerHarness], redis_of: Any, clock: FixedClock
) -> None:
    change_inbox("anna@example.com", {"per_minute": 3, "per_day": 10})
    harness = make_harness()
    queue_up(6)
    harness.work()
    redis_of("outreach").flushall()
    clock.advance(30)
    step_result = harness.work()
    assert len(harness.sender.sent) == 3
    assert step_result.next_seconds == pytest.approx(30, abs=0.1)


def test_a_sweep_heals_an_enqueue_that_died_before_its_push(
    inbox: Inbox,
    queue_up: Queue,
    make_harness: Callable[..., WorkerHarness],
    lanes: Lanes,
    clock: FixedClock,
    view: QueueView,
) -> None:
    harness = make_harness()
    [lost, kept] = queue_up(2)
    lanes.withdraw(inbox.pk, [str(lost.pk)])
    assert harness.reconciler.sweep(clock.now, older_than_seconds=60) == 0  # may still be on its way
    clock.advance(61)
    assert harness.reconciler.sweep(clock.now, older_than_seconds=60) == 1
    assert view.queued_ids([inbox.pk]) == {str(lost.pk), str(kept.pk)}


def test_between_full_sweeps_inboxes_that_got_touches_are_compared(
    inbox: Inbox,
    queue_up: Queue,
    make_harness: Callable[..., WorkerHarness],
    lanes: Lanes,
    clock: FixedClock,
    view: QueueView,
) -> None:
    harness = make_harness()
    [old] = queue_up(1)
    change_inbox("bert@example.com", {})
    clock.advance(100)
    [lost] = queue_up(1, inbox="bert@example.com")
    for touch in (old, lost):
        lanes.withdraw(touch.inbox_id, [str(touch.pk)])
    clock.advance(70)
    assert harness.reconciler.sweep_recent(clock.now, 60, clock.now - 90, SweepBacklog()) == 1
    assert view.depths([old.inbox_id, lost.inbox_id]) == {old.inbox_id: 0, lost.inbox_id: 1}


def test_arrivals_at_many_inboxes_are_compared_a_few_at_a_time_and_lanes_that_are_gone_at_once(
    db: None,
    queue_up: Queue,
    make_harness: Callable[..., WorkerHarness],
    lanes: Lanes,
    clock: FixedClock,
    view: QueueView,
) -> None:
    harness, lost = make_harness(), []
    for number in range(6):
        change_inbox(address := f"i{number}@example.com", {})
        lost.append(queue_up(2, inbox=address)[0])
        lanes.withdraw(lost[-1].inbox_id, [str(lost[-1].pk)])
    gone = Touch.objects.filter(inbox_id=lost[5].inbox_id)
    lanes.withdraw(lost[5].inbox_id, [str(touch.pk) for touch in gone])
    lanes.reserve(
        harness.lease_owner, 1, {lost[5].inbox_id: EffectiveLimits(0, NEVER_MS, ())}
    )  # finds it empty: its lane ends
    clock.advance(61)
    backlog, before, short = SweepBacklog(at_once=2), clock.now, []
    for _ in range(4):
        harness.reconciler.sweep_recent(clock.now, 60, before - 90, backlog)
        held = view.depths([touch.inbox_id for touch in lost])
        short.append([touch.inbox_id for touch in lost if held[touch.inbox_id] < 2])
        clock.advance(1)
        before = clock.now + 90  # nobody arrives any more
    assert [len(one) for one in short] == [3, 2, 1, 0]
    assert lost[5].inbox_id not in short[0]


def test_a_running_worker_pushes_what_an_enqueue_left_behind(
    inbox: Inbox, queue_up: Queue, harness: WorkerHarness, lanes: Lanes, clock: FixedClock, monkeypatch: Any
) -> None:
    monkeypatch.setattr("outreach.services.maintenance._SECONDS_AN_INBOX", 100_000.0)  # the next full sweep is far away
    change_inbox("bert@example.com", {"paused": True})
    queue_up(1, inbox="bert@example.com")
    harness.work()
    clock.advance(10)
    [lost] = queue_up(1)
    lanes.withdraw(inbox.pk, [str(lost.pk)])
    for _ in range(4):
        harness.work()
        clock.advance(31)
    assert Touch.objects.get(pk=lost.pk).status == "sent"


def test_a_loss_of_many_inboxes_is_compared_in_groups(
    queue_up: Queue,
    make_harness: Callable[..., WorkerHarness],
    redis_of: Any,
    clock: FixedClock,
    view: QueueView,
    monkeypatch: Any,
) -> None:
    monkeypatch.setattr("outreach.services.reconcile._MOST_TOGETHER", 5)
    inboxes = [change_inbox(f"i{number}@example.com", {"per_minute": 1}) for number in range(7)]
    harness = make_harness()
    for one in inboxes:
        queue_up(3, inbox=one.address)
    harness.work()
    redis_of("outreach").flushall()
    assert harness.reconciler.reconcile_all(clock.now) == Reconciled(unfinished=14, back=14, adopted=0)
    assert view.depths([one.pk for one in inboxes]) == {one.pk: 2 for one in inboxes}
    harness.work()
    assert len(harness.sender.sent) == 7  # each log of sends is back


def test_a_lane_longer_than_one_read_is_known_in_full(lanes: Lanes, view: QueueView, monkeypatch: Any) -> None:
    monkeypatch.setattr("outreach.store.inspection._CHUNK", 4)
    ids = [f"t{number}" for number in range(11)]
    lanes.enqueue(1, ids)
    lanes.enqueue(2, ids[:4], [("later", 5)])
    assert view.queued_ids([1, 2]) == {*ids, "later"}


def test_no_token_is_given_out_twice(
    inbox: Inbox, queue_up: Queue, make_harness: Callable[..., WorkerHarness], redis_of: Any, clock: FixedClock
) -> None:
    """Also when the server's clock is set back during the data loss."""
    harness = make_harness()
    harness.sender.answer = Outcome("retry", 450, "450 later")
    [touch] = queue_up(1)
    harness.work()
    touch.refresh_from_db()
    before = touch.token
    redis_of("outreach").flushall()
    clock.advance(-86_400)
    harness.reconciler.reconcile_all(clock.now)
    clock.advance(3600 * 5)
    Touch.objects.update(due_at=None)
    redis_of("outreach").flushall()
    harness.work()
    touch.refresh_from_db()
    assert touch.tries == 2
    assert touch.token > before
