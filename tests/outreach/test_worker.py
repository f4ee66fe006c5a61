"""The worker's steps over the real queue and ledger, with a sender whose answers are configured."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from avo_project.runtime.stop_flag import StopFlag
from outreach.domain.reservation import Outcome, Outgoing, Reservation
from outreach.models import Attempt, Inbox, Suppression, Touch
from outreach.services.inboxes import change_inbox, set_paused
from outreach.services.sender_pool import SenderPool
from outreach.services.suppression import suppress_recipient
from outreach.store.inspection import QueueView
from outreach.store.lanes import Lanes
from tests.doubles import FixedClock
from tests.outreach.conftest import RecordingSender, WorkerHarness

pytestmark = pytest.mark.django_db
Queue = Callable[..., list[Touch]]


def statuses() -> list[str]:
    return list(Touch.objects.order_by("pk").values_list("status", flat=True))


def test_everything_queued_is_sent_once(inbox: Inbox, queue_up: Queue, harness: WorkerHarness, view: QueueView) -> None:
    queue_up(10)
    harness.work()
    assert sorted(touch.recipient for touch in harness.sender.sent) == sorted(
        f"r{number}@example.com" for number in range(1, 11)
    )
    assert set(statuses()) == {"sent"}
    assert Attempt.objects.filter(outcome="sent").count() == 10
    assert view.overview().in_flight == 0
    assert str(harness.worker.counters) == "sent=10 retried=0 dead=0 recovered=0 suppressed=0"


def test_the_ledger_says_sending_before_the_sender_is_called(
    inbox: Inbox, queue_up: Queue, harness: WorkerHarness
) -> None:
    queue_up(1)
    harness.worker.step()
    touch = Touch.objects.get()
    assert (touch.status, touch.tries, touch.worker) == ("sending", 1, "w1")
    assert touch.token > 0


def test_a_limit_holds(inbox: Inbox, queue_up: Queue, harness: WorkerHarness, clock: FixedClock) -> None:
    change_inbox("anna@example.com", {"per_minute": 2})
    queue_up(5)
    step_result = harness.work()
    assert len(harness.sender.sent) == 2
    assert step_result.next_seconds == pytest.approx(60.0, abs=0.01)
    clock.advance(60.1)
    harness.work()
    assert len(harness.sender.sent) == 4


def test_a_held_inbox_delays_no_other(inbox: Inbox, queue_up: Queue, harness: WorkerHarness) -> None:
    change_inbox("anna@example.com", {"per_minute": 1})
    change_inbox("bert@example.com", {})
    queue_up(20)
    queue_up(20, inbox="bert@example.com")
    harness.work(steps=60)
    assert (
        sorted(touch.sender_address for touch in harness.sender.sent)
        == ["anna@example.com"] + ["bert@example.com"] * 20
    )


def test_a_failure_for_now_is_tried_again_for_days(
    inbox: Inbox, queue_up: Queue, harness: WorkerHarness, clock: FixedClock
) -> None:
    harness.sender.answer = Outcome("retry", 450, "450 try later")
    [touch] = queue_up(1)
    harness.work()
    touch.refresh_from_db()
    assert (touch.status, touch.tries, touch.reason) == ("retrying", 1, "450 try later")
    assert touch.due_at == datetime.fromtimestamp(clock.now + 300, UTC)
    began = clock.now
    while touch.status == "retrying":
        clock.advance(14_400)
        harness.work()
        touch.refresh_from_db()
    assert (touch.status, touch.tries) == ("dead", 31)
    assert clock.now - began >= 4 * 86_400
    assert str(harness.worker.counters) == "sent=0 retried=30 dead=1 recovered=0 suppressed=0"


def test_a_refused_inbox_costs_its_touch_no_try(
    inbox: Inbox, queue_up: Queue, harness: WorkerHarness, clock: FixedClock
) -> None:
    """Five pauses used up the tries, so that the next failure was the last."""
    queue_up(1)
    for outcome in [Outcome("pause", 535, "535 no")] * 20 + [Outcome("hold", 454, "454 slow", hold="throttle")] * 20:
        harness.sender.answer = outcome
        harness.work()
        touch = Touch.objects.get()
        assert (touch.status, touch.tries, touch.reason) == ("waiting", 0, outcome.detail)
        set_paused(Inbox.objects.all(), paused=False)
        clock.advance(3600)
    harness.sender.answer = Outcome("retry", 451, "451 later")
    harness.work()
    assert statuses() == ["retrying"]
    assert len(harness.sender.sent) == 41


def test_a_quota_holds_the_lane_and_costs_nobody_anything(
    inbox: Inbox, queue_up: Queue, harness: WorkerHarness, clock: FixedClock
) -> None:
    queue_up(30)
    harness.sender.answer = Outcome("hold", 550, "550 5.4.5 quota", hold="quota")
    harness.work()
    assert len(harness.sender.sent) <= 4  # what was in flight already
    assert set(statuses()) == {"queued", "waiting"}
    assert (Suppression.objects.count(), Touch.objects.filter(tries__gt=0).count()) == (0, 0)
    clock.advance(3599)
    harness.work()
    assert len(harness.sender.sent) <= 4
    harness.sender.answer = Outcome("sent")
    clock.advance(2)
    harness.work()
    assert set(statuses()) == {"sent"}


def test_a_refused_recipient_is_dead_and_suppressed(inbox: Inbox, queue_up: Queue, harness: WorkerHarness) -> None:
    harness.sender.answers["r1@example.com"] = Outcome("suppress", 550, "550 5.1.1 no such user")
    queue_up(2)
    harness.work()
    assert sorted(statuses()) == ["dead", "sent"]
    assert Suppression.objects.get().recipient == "r1@example.com"
    queue_up(1)
    assert sorted(statuses()) == ["dead", "sent", "suppressed"]


def test_a_policy_refusal_pauses_the_inbox(
    inbox: Inbox, queue_up: Queue, harness: WorkerHarness, clock: FixedClock
) -> None:
    harness.sender.answer = Outcome("pause", 550, "550 5.7.1 blocked")
    queue_up(30)
    harness.work()
    inbox.refresh_from_db()
    assert (inbox.paused, inbox.pause_reason) == (True, "550 5.7.1 blocked")
    tried = len(harness.sender.sent)
    assert tried <= 4  # what was in flight already
    assert set(statuses()) == {"queued", "waiting"}
    clock.advance(3600)
    harness.work()
    assert len(harness.sender.sent) == tried
    harness.sender.answer = Outcome("sent")
    change_inbox("anna@example.com", {"paused": False})
    clock.advance(5)
    harness.work()
    assert set(statuses()) == {"sent"}


def test_a_mail_that_may_have_left_waits_for_a_person(
    inbox: Inbox, queue_up: Queue, harness: WorkerHarness, clock: FixedClock
) -> None:
    harness.sender.answer = Outcome("unknown", detail="no answer")
    queue_up(1)
    harness.work()
    clock.advance(100_000)
    harness.work()
    assert statuses() == ["unknown"]
    assert len(harness.sender.sent) == 1


def test_a_sender_with_a_bug_leaves_the_touch_unknown(
    inbox: Inbox, queue_up: Queue, harness: WorkerHarness, caplog: Any
) -> None:
    harness.sender.send = lambda touch: 1 / 0  # type: ignore[assignment, return-value]
    queue_up(1)
    harness.work()
    assert statuses() == ["unknown"]
    assert "ZeroDivisionError" in caplog.text


def test_a_suppressed_recipient_gets_nothing_that_is_queued(
    inbox: Inbox, queue_up: Queue, harness: WorkerHarness, lanes: Lanes
) -> None:
    queue_up(3)
    Suppression.objects.create(recipient_key=Touch.objects.get(recipient="r2@example.com").recipient_key, reason="x")
    harness.work()
    assert sorted(touch.recipient for touch in harness.sender.sent) == ["r1@example.com", "r3@example.com"]
    assert str(harness.worker.counters) == "sent=2 retried=0 dead=0 recovered=0 suppressed=1"


def test_an_unsubscribed_touch_leaves_the_queue(
    inbox: Inbox,
    queue_up: Queue,
    harness: WorkerHarness,
    lanes: Lanes,
    view: QueueView,
    django_capture_on_commit_callbacks: Any,
) -> None:
    queue_up(3)
    with django_capture_on_commit_callbacks(execute=True):
        assert suppress_recipient("R2@example.com", "asked by mail", lanes) == 1
    assert view.depths([inbox.pk]) == {inbox.pk: 2}
    harness.work()
    assert len(harness.sender.sent) == 2


def test_a_dead_workers_touches_are_recovered(
    inbox: Inbox, queue_up: Queue, make_harness: Callable[..., WorkerHarness], clock: FixedClock, lanes: Lanes
) -> None:
    [first, second, third] = queue_up(3)
    dead, alive = make_harness("dead"), make_harness("alive")
    reserved = lanes.reserve(
        dead.lease_owner, 2, dead.worker._inbox_cache.effective_limits([inbox.pk], clock.now), max_per_lane=2
    ).reservations
    dead.ledger.claim(reserved[:1], clock.now)  # killed after the ledger's note of the first
    alive.work()
    assert [touch.touch_id for touch in alive.sender.sent] == [str(third.pk)]
    clock.advance(60)
    alive.work()
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status) == ("unknown", "sent")
    assert str(alive.worker.counters) == "sent=2 retried=0 dead=0 recovered=2 suppressed=0"


def test_a_late_answer_is_still_the_truth(
    inbox: Inbox, queue_up: Queue, make_harness: Callable[..., WorkerHarness], clock: FixedClock, view: QueueView
) -> None:
    queue_up(1)
    slow, other = make_harness("slow"), make_harness("other")
    slow.worker.step()
    [result] = slow.pool.poll(5.0)
    clock.advance(61)
    other.work()
    assert statuses() == ["unknown"]
    slow.ledger.settle([result], clock.now)
    assert statuses() == ["sent"]
    assert view.overview().in_flight == 0


def test_an_old_workers_answer_does_not_undo_a_newer_state(
    inbox: Inbox, queue_up: Queue, make_harness: Callable[..., WorkerHarness], clock: FixedClock
) -> None:
    queue_up(1)
    slow, other = make_harness("slow"), make_harness("other")
    slow.sender.answer = Outcome("retry", 450, "450 later")
    slow.worker.step()
    [result] = slow.pool.poll(5.0)
    clock.advance(61)
    other.work()
    Touch.objects.update(status="sent")  # a person found out
    slow.ledger.settle([result], clock.now)
    assert statuses() == ["sent"]


def test_a_worker_reports_idle_only_when_nobody_holds_anything(
    inbox: Inbox, queue_up: Queue, make_harness: Callable[..., WorkerHarness], clock: FixedClock, lanes: Lanes
) -> None:
    queue_up(1)
    dead, alive = make_harness("dead"), make_harness("alive")
    lanes.reserve(dead.lease_owner, 1, dead.worker._inbox_cache.effective_limits([inbox.pk], clock.now))
    assert not alive.worker._is_done(alive.work())
    clock.advance(61)
    assert alive.worker._is_done(alive.work())


@pytest.mark.parametrize(("delay", "is_done"), [(3.0, False), (30.0, True)])
def test_only_what_is_due_soon_keeps_a_worker(
    inbox: Inbox, queue_up: Queue, harness: WorkerHarness, clock: FixedClock, delay: float, is_done: bool
) -> None:
    queue_up(1, not_before=clock.now + delay)
    assert harness.worker._is_done(harness.work()) is is_done


def test_run_ends_when_idle(inbox: Inbox, queue_up: Queue, harness: WorkerHarness) -> None:
    queue_up(5)
    harness.worker.run(StopFlag(), stop_when_idle=True)
    assert set(statuses()) == {"sent"}


def test_run_ends_when_stopped_and_reserves_nothing_more(
    inbox: Inbox, queue_up: Queue, harness: WorkerHarness, view: QueueView
) -> None:
    queue_up(5)
    stop = StopFlag()
    stop.set()
    harness.worker.run(stop)
    assert set(statuses()) == {"queued"}
    assert view.overview().workers == ()


def test_a_lost_queue_comes_back_by_itself(
    inbox: Inbox, queue_up: Queue, harness: WorkerHarness, redis_of: Any
) -> None:
    change_inbox("anna@example.com", {"per_minute": 2})
    queue_up(5)
    harness.work()
    redis_of("outreach").flushall()
    step_result = harness.work()
    assert len(harness.sender.sent) == 2  # the limit is known from the ledger
    assert step_result.next_seconds is not None


def test_a_changed_inbox_is_followed(inbox: Inbox, queue_up: Queue, harness: WorkerHarness, clock: FixedClock) -> None:
    change_inbox("anna@example.com", {"paused": True})
    queue_up(1)
    harness.work()
    assert harness.sender.sent == []
    change_inbox("anna@example.com", {"paused": False})
    clock.advance(5)
    harness.work()
    assert len(harness.sender.sent) == 1


def test_an_inbox_that_was_resumed_while_nobody_worked_is_looked_at(
    inbox: Inbox, queue_up: Queue, make_harness: Callable[..., WorkerHarness], clock: FixedClock
) -> None:
    change_inbox("anna@example.com", {"paused": True})
    queue_up(1)
    make_harness("first").work()
    change_inbox("anna@example.com", {"paused": False})
    second = make_harness("second")
    second.work()
    assert len(second.sender.sent) == 1


def test_a_change_that_comes_with_a_pause_is_followed(
    inbox: Inbox, queue_up: Queue, harness: WorkerHarness, clock: FixedClock
) -> None:
    """The worker refreshes its inboxes when a server's answer pauses one; other changes must not be lost."""
    change_inbox("bert@example.com", {"paused": True})
    queue_up(1, inbox="bert@example.com")
    harness.work()
    harness.sender.answer = Outcome("pause", 550, "550 5.7.1 blocked")
    queue_up(1)
    harness.worker.step()
    change_inbox("bert@example.com", {"paused": False})
    harness.work()
    harness.sender.answer = Outcome("sent")
    clock.advance(5)
    harness.work()
    assert [touch.sender_address for touch in harness.sender.sent] == ["anna@example.com", "bert@example.com"]


def test_a_change_is_followed_though_redis_was_away_at_that_moment(
    inbox: Inbox, queue_up: Queue, harness: WorkerHarness, clock: FixedClock, monkeypatch: Any
) -> None:
    change_inbox("anna@example.com", {"paused": True})
    queue_up(1)
    harness.work()
    change_inbox("anna@example.com", {"paused": False})
    clock.advance(5)
    with monkeypatch.context() as away:
        away.setattr(Lanes, "recheck", lambda *_: (_ for _ in ()).throw(RedisConnectionError("away")))
        with pytest.raises(RedisConnectionError):
            harness.worker.step()
    clock.advance(5)
    harness.work()
    assert len(harness.sender.sent) == 1


def test_a_sender_that_cannot_close_or_be_made_stops_no_thread(caplog: Any, clock: FixedClock) -> None:
    class Stubborn(RecordingSender):
        def close(self) -> None:
            raise RuntimeError("no")

    touch = Outgoing(Reservation("t", 1, 5), "email", "a@example.com", "", "r@example.com", "", "Hi", 1, 0.0)
    pool = SenderPool(1, {"email": Stubborn}, clock)
    pool.submit([touch, replace(touch, reservation=Reservation("u", 1, 5), channel="pigeon")])
    results = pool.poll(5.0)
    while pool.in_flight:
        results += pool.poll(5.0)
    assert [result.outcome.kind for result in results] == ["sent", "unknown"]
    pool.shutdown()
    pool._threads[0].join(5)
    assert "failed to close" in caplog.text
