"""Holds of lanes: their reasons and ends, what survives, and what counts against limits."""

from collections.abc import Callable
from typing import Any

import pytest

from outreach.domain.reservation import Outcome
from outreach.models import Attempt, Inbox, Touch
from outreach.services.inboxes import change_inbox, set_paused
from outreach.services.waiting import inbox_waiting, touch_waiting, wait_forecasts
from outreach.store.inspection import QueueView
from tests.doubles import FixedClock
from tests.outreach.conftest import WorkerHarness

pytestmark = pytest.mark.django_db
Queue = Callable[..., list[Touch]]
HOUR = 3600.0
QUOTA = Outcome("hold", 550, "550 5.4.5 quota of\nr1@example.com", reply_class="sender-quota", hold="quota")
AWAY = Outcome("retry", 0, "cannot connect", is_inbox_failure=True)


def held_seconds(clock: FixedClock) -> float:
    held_until = Inbox.objects.get().held_until
    return held_until.timestamp() - clock.now if held_until else 0.0


def test_a_hold_doubles_without_a_send_and_starts_over_after_one(
    inbox: Inbox, queue_up: Queue, harness: WorkerHarness, clock: FixedClock
) -> None:
    queue_up(2)
    harness.sender.answer = QUOTA
    for hours in (1, 2, 4, 8, 16, 24, 24):
        harness.work()
        assert held_seconds(clock) == hours * HOUR
        clock.advance(hours * HOUR)
    harness.sender.answer = Outcome("sent")
    harness.work()
    assert (held_seconds(clock), Inbox.objects.get().holds) == (0.0, 0)
    queue_up(1)
    harness.sender.answer = QUOTA
    harness.work()
    assert held_seconds(clock) == HOUR


def test_touches_in_flight_when_a_hold_began_do_not_prolong_it(
    inbox: Inbox, queue_up: Queue, make_harness: Callable[..., WorkerHarness], clock: FixedClock
) -> None:
    queue_up(10)
    first, second = make_harness("first"), make_harness("second")
    first.sender.answer = second.sender.answer = QUOTA
    first.worker.step()
    second.worker.step()
    for harness in (first, second):
        harness.work()
    assert (Inbox.objects.get().holds, held_seconds(clock)) == (1, HOUR)
    assert len(first.sender.sent) + len(second.sender.sent) <= 8


def test_a_late_send_does_not_end_a_hold(
    inbox: Inbox, queue_up: Queue, harness: WorkerHarness, clock: FixedClock
) -> None:
    harness.sender.answers["r1@example.com"] = QUOTA
    queue_up(3)
    harness.work()
    assert Attempt.objects.filter(outcome="sent").count() == 2
    assert held_seconds(clock) == HOUR


@pytest.mark.parametrize("reason", ["quota", "throttle", "reputation", "server"])
def test_a_hold_says_why_and_until_when(
    inbox: Inbox, queue_up: Queue, harness: WorkerHarness, clock: FixedClock, view: QueueView, caplog: Any, reason: Any
) -> None:
    view_now_ms = view.now_ms()
    clock.now = view_now_ms / 1000
    queue_up(2)
    harness.sender.answer = Outcome("hold", 454, "454 later.", retry_after_seconds=600.0, hold=reason)
    harness.work()
    waiting = inbox_waiting(Inbox.objects.get(), view, view_now_ms)
    assert (waiting.reason, waiting.detail) == (reason, "454 later.")
    assert waiting.text.endswith(": 454 later.")
    assert waiting.until is not None
    assert waiting.until.timestamp() == pytest.approx(clock.now + 600, abs=0.01)
    for touch in Touch.objects.select_related("inbox"):
        explained = touch_waiting(touch, view, view_now_ms)
        assert (explained.status, explained.reason, explained.until) == ("waiting", reason, waiting.until)
        assert "454 later" in explained.detail
    [forecast] = wait_forecasts(view, 1)
    assert (forecast.forecast.binding, forecast.forecast.left) == (reason, 0)
    assert (
        f"(anna@example.com) is held until {waiting.until.isoformat(timespec='seconds')} for {reason}: 454 later"
        in (caplog.text)
    )


def test_a_hold_survives_restarts_and_a_lost_redis(
    inbox: Inbox, queue_up: Queue, make_harness: Callable[..., WorkerHarness], clock: FixedClock, redis_of: Any
) -> None:
    queue_up(3)
    first = make_harness("first", size=1)
    first.sender.answer = QUOTA
    first.work()
    second = make_harness("second")
    second.work()
    redis_of("outreach").flushall()
    second.work()
    clock.advance(HOUR - 1)
    second.work()
    assert second.sender.sent == []
    clock.advance(2)
    second.work()
    assert len(second.sender.sent) == 3


def test_a_resume_ends_a_hold(
    inbox: Inbox, queue_up: Queue, make_harness: Callable[..., WorkerHarness], clock: FixedClock
) -> None:
    queue_up(2)
    harness = make_harness(size=1)
    for resume in (
        lambda: set_paused(Inbox.objects.all(), paused=False),
        lambda: change_inbox("anna@example.com", {"paused": False}),
    ):
        harness.sender.answer = QUOTA
        harness.work()
        assert held_seconds(clock) == HOUR
        resume()
        assert held_seconds(clock) == 0
        clock.advance(5)
        harness.sender.answer = Outcome("sent")
        harness.work()
        queue_up(1)
    assert len(harness.sender.sent) == 5


def test_a_resume_while_nobody_works_ends_a_hold(
    inbox: Inbox, queue_up: Queue, make_harness: Callable[..., WorkerHarness]
) -> None:
    queue_up(1)
    first = make_harness("first")
    first.sender.answer = QUOTA
    first.work()
    set_paused(Inbox.objects.all(), paused=False)
    second = make_harness("second")
    second.work()
    assert len(second.sender.sent) == 1


def test_a_change_of_limits_does_not_end_a_hold(inbox: Inbox, queue_up: Queue, harness: WorkerHarness) -> None:
    queue_up(1)
    harness.sender.answer = QUOTA
    harness.work()
    change_inbox("anna@example.com", {"per_minute": 5})
    assert Inbox.objects.get().hold_reason == "quota"


def test_a_lane_is_held_while_everything_of_it_fails(
    inbox: Inbox, queue_up: Queue, harness: WorkerHarness, clock: FixedClock
) -> None:
    """Four failures in a row may be chance; the fifth holds the lane, also for a worker that starts later."""
    queue_up(12)
    harness.sender.answer = AWAY
    for expected in (30, 60, 120, 240, 480, 960, 1920, 3600, 3600):
        harness.work()
        assert (Inbox.objects.get().hold_reason, held_seconds(clock)) == ("server", expected)
        clock.advance(4 * HOUR)
    assert Touch.objects.filter(status="dead").count() == 0
    harness.sender.answer = Outcome("sent")
    clock.advance(4 * HOUR)
    harness.work()
    assert set(Touch.objects.values_list("status", flat=True)) == {"sent"}


def test_a_touch_that_is_refused_for_its_own_sake_stops_no_other(
    inbox: Inbox, queue_up: Queue, make_harness: Callable[..., WorkerHarness], clock: FixedClock
) -> None:
    """Its reply sounds as if the inbox were refused. It waits behind the others."""
    harness = make_harness(size=1)
    harness.sender.answers["r1@example.com"] = Outcome("pause", 550, "550 5.7.1 blocked")
    harness.sender.answers["r2@example.com"] = QUOTA
    queue_up(30)
    for _ in range(3):
        harness.work(steps=200)
        set_paused(Inbox.objects.all(), paused=False)
        clock.advance(5)
    assert Touch.objects.filter(status="sent").count() == 28
    assert set(Touch.objects.filter(status="waiting").values_list("tries", flat=True)) == {0}


def test_a_server_that_is_away_uses_up_no_limit(
    inbox: Inbox, queue_up: Queue, make_harness: Callable[..., WorkerHarness], clock: FixedClock, redis_of: Any
) -> None:
    """Neither in the log of sends nor after a reconciliation that restores it from the attempts."""
    change_inbox("anna@example.com", {"per_day": 5})
    queue_up(5)
    harness = make_harness(breaker_failures=1000)
    for outcome in (AWAY, QUOTA, Outcome("pause", 535, "535 no"), Outcome("retry", 450, "450 greylisted")):
        harness.sender.answer = outcome
        harness.work()
        set_paused(Inbox.objects.all(), paused=False)
        clock.advance(HOUR)
    redis_of("outreach").flushall()
    harness.sender.answer = Outcome("sent")
    harness.work()
    queue_up(1)
    harness.work()
    assert Touch.objects.filter(status="sent").count() == 5
    assert len(harness.sender.sent) > 20


def test_what_may_have_left_counts_against_limits(
    inbox: Inbox, queue_up: Queue, harness: WorkerHarness, redis_of: Any
) -> None:
    change_inbox("anna@example.com", {"per_day": 5})
    harness.sender.answer = Outcome("unknown", detail="no answer")
    queue_up(7)
    harness.work()
    redis_of("outreach").flushall()
    harness.work()
    assert len(harness.sender.sent) == 5
