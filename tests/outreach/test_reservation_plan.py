"""Which lanes a worker names, and how little an idle worker costs."""

from collections.abc import Callable
from typing import Any

import pytest

from avo_project.runtime.stop_flag import StopFlag
from outreach.domain.reservation_plan import IdleHint, ReservationPlan, SweepBacklog, next_plan
from outreach.models import Inbox, Touch
from outreach.services.inboxes import change_inbox
from outreach.store.lanes import Lanes
from tests.doubles import FixedClock
from tests.outreach.conftest import WorkerHarness

Queue = Callable[..., list[Touch]]
FIRST = (7, 5_000)


def test_names_what_is_wanted_and_a_few_in_reserve() -> None:
    assert next_plan(tuple(range(1000)), 4) == ReservationPlan(tuple(range(12)), 1)
    assert next_plan(tuple(range(1000)), 64, max_per_lane=8) == ReservationPlan(tuple(range(16)), 8)


def test_takes_more_of_each_when_there_are_few() -> None:
    assert next_plan((7, 9), 5) == ReservationPlan((7, 9), 3)
    assert next_plan((), 5) == ReservationPlan((), 5)


@pytest.mark.parametrize(
    ("now", "first", "holds"),
    [
        (100.0, FIRST, True),
        (102.9, FIRST, True),
        (103.0, FIRST, False),
        (99.0, FIRST, False),
        (100.0, (8, 4_000), False),
        (100.0, None, False),
    ],
)
def test_an_idle_hint_expires_when_the_first_lane_is_due_or_another_comes_first(
    now: float, first: tuple[int, int] | None, holds: bool
) -> None:
    assert IdleHint(100.0, FIRST, 3.0, None).holds(now, first) is holds


@pytest.mark.parametrize(("lease_seconds", "last"), [(None, 10.0), (4.0, 4.0), (60.0, 10.0)])
def test_an_idle_hint_expires_with_a_lease_or_after_ten_seconds(lease_seconds: float | None, last: float) -> None:
    idle_hint = IdleHint(0.0, None, None, lease_seconds)
    assert idle_hint.holds(last - 0.1, None)
    assert not idle_hint.holds(last, None)


def test_a_backlog_lets_some_through_at_once_and_then_one_a_second() -> None:
    backlog = SweepBacklog(at_once=3, a_second=0.5)
    backlog.add(range(10))
    assert backlog.take(100.0) == [0, 1, 2]
    backlog.add([4, 20])
    assert backlog.take(101.0) == []
    assert backlog.take(104.0) == [3, 4]
    assert backlog.take(1_000.0) == [5, 6, 7]
    assert backlog.take(0.0) == []
    assert len(backlog) == 3


@pytest.mark.django_db
class TestWorker:
    @pytest.fixture
    def cost(self, harness: WorkerHarness, redis_of: Any) -> Callable[[], int]:
        """The number of commands of one step after a wait that timed out."""

        def count() -> int:
            harness.worker._wait(StopFlag(), 0.15)
            before = redis_of("outreach").info("stats")["total_commands_processed"]
            harness.worker.step()
            return int(redis_of("outreach").info("stats")["total_commands_processed"]) - before - 1

        return count

    @pytest.mark.real_server
    def test_asks_only_for_the_first_lane_while_nothing_moves(
        self, inbox: Inbox, queue_up: Queue, harness: WorkerHarness, clock: FixedClock, cost: Callable[[], int]
    ) -> None:
        queue_up(1, not_before=clock.now + 60)
        harness.work()
        assert [cost(), cost()] == [1, 1]
        clock.advance(10)
        assert cost() > 1
        assert cost() == 1

    def test_hears_of_a_touch_that_is_due_before_the_first_lane(
        self, inbox: Inbox, queue_up: Queue, harness: WorkerHarness, clock: FixedClock
    ) -> None:
        queue_up(1, not_before=clock.now + 60)
        harness.work()
        change_inbox("bert@example.com", {})
        queue_up(1, inbox="bert@example.com", not_before=clock.now + 1)
        harness.worker._wait(StopFlag(), 0.15)
        assert harness.worker.step().next_seconds == pytest.approx(1, abs=0.1)

    def test_sends_when_the_first_lane_is_due_although_nobody_woke_it(
        self, inbox: Inbox, queue_up: Queue, harness: WorkerHarness, clock: FixedClock
    ) -> None:
        queue_up(1, not_before=clock.now + 5)
        harness.work()
        for _ in range(6):
            harness.worker._wait(StopFlag(), 0.15)
            harness.worker.step()
            clock.advance(1)
        harness.work()
        assert len(harness.sender.sent) == 1

    def test_notices_a_lost_queue(
        self, inbox: Inbox, queue_up: Queue, harness: WorkerHarness, clock: FixedClock, redis_of: Any, lanes: Lanes
    ) -> None:
        queue_up(1, not_before=clock.now + 60)
        harness.work()
        redis_of("outreach").flushall()
        harness.worker._wait(StopFlag(), 0.15)
        harness.worker.step()
        harness.worker.step()
        assert lanes.first() is not None
