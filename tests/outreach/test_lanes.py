"""Each operation of the queue by itself; test_lanes_model checks them together against a model."""

from typing import Any

import pytest

from outreach import keys
from outreach.domain.inbox_rules import NEVER_MS, EffectiveLimits, InboxRules
from outreach.domain.reservation import BEHIND, EnqueueBatch, LeaseOwner, Reservation, Settlement
from outreach.store.inspection import QueueView
from outreach.store.lanes import Lanes
from tests.doubles import FixedClock

FREE = EffectiveLimits(0, NEVER_MS, ())
ANNA, BERT = LeaseOwner("anna", 60.0), LeaseOwner("bert", 60.0)


def ids(reserved: Any) -> list[str]:
    return [one.touch_id for one in reserved.reservations]


def per_minute(count: int) -> EffectiveLimits:
    return InboxRules(per_minute=count).effective_limits(0)


def test_touches_leave_in_the_order_in_which_they_came(lanes: Lanes) -> None:
    lanes.enqueue(1, ["a", "b"])
    lanes.enqueue(1, ["c"])
    assert ids(lanes.reserve(ANNA, 2, {1: FREE}, max_per_lane=2)) == ["a", "b"]
    assert ids(lanes.reserve(ANNA, 2, {1: FREE}, max_per_lane=2)) == ["c"]


def test_a_touch_is_reserved_once(lanes: Lanes) -> None:
    lanes.enqueue(1, ["a"])
    assert ids(lanes.reserve(ANNA, 1, {1: FREE})) == ["a"]
    assert ids(lanes.reserve(BERT, 1, {1: FREE})) == []


def test_a_touch_that_is_queued_twice_is_reserved_once(lanes: Lanes) -> None:
    lanes.enqueue(1, ["a", "a", "b"])
    assert ids(lanes.reserve(ANNA, 3, {1: FREE}, max_per_lane=3)) == ["a", "b"]


def test_tokens_rise_even_when_redis_forgets_them(lanes: Lanes, redis_of: Any, clock: FixedClock) -> None:
    tokens = []
    for _ in range(2):
        lanes.enqueue(1, ["a", "b"])
        tokens += [lanes.reserve(ANNA, 1, {1: FREE}).reservations[0].token for _ in range(2)]
        redis_of("outreach").flushall()
        lanes.mark_initialised(0)
        clock.advance(0.01)
    assert tokens == sorted(set(tokens))


def test_one_lane_gives_no_more_than_its_share(lanes: Lanes) -> None:
    lanes.enqueue(1, ["a1", "a2"])
    lanes.enqueue(2, ["b1", "b2"])
    assert ids(lanes.reserve(ANNA, 4, {1: FREE, 2: FREE}, max_per_lane=1)) == ["a1", "b1"]


def test_a_delayed_touch_comes_when_it_is_due_and_before_the_others(lanes: Lanes, clock: FixedClock) -> None:
    due_ms = round(clock.now * 1000) + 5000
    lanes.enqueue(1, [], [("late", due_ms)])
    first = lanes.reserve(ANNA, 1, {1: FREE})
    assert (ids(first), first.next_ms) == ([], due_ms)
    clock.advance(5)
    lanes.enqueue(1, ["other"])
    assert ids(lanes.reserve(ANNA, 2, {1: FREE}, max_per_lane=2)) == ["late", "other"]


def test_an_earlier_delayed_touch_moves_the_lane_forward(lanes: Lanes, clock: FixedClock) -> None:
    now_ms = round(clock.now * 1000)
    lanes.enqueue(1, [], [("b", now_ms + 9000)])
    lanes.enqueue(1, [], [("a", now_ms + 4000)])
    assert lanes.reserve(ANNA, 1, {}).next_ms == now_ms + 4000


def test_a_limit_holds_over_all_workers_and_rolls(lanes: Lanes, clock: FixedClock) -> None:
    lanes.enqueue(1, ["a", "b", "c"])
    first = lanes.reserve(ANNA, 3, {1: per_minute(2)}, max_per_lane=3)
    assert ids(first) == ["a", "b"]
    assert ids(lanes.reserve(BERT, 3, {1: per_minute(2)}, max_per_lane=3)) == []
    clock.advance(10)
    lanes.settle([Settlement(one, sent_ago_ms=0) for one in first.reservations])
    held = lanes.reserve(BERT, 3, {1: per_minute(2)})
    assert (ids(held), held.next_ms) == ([], round(clock.now * 1000) + 60_001)
    clock.advance(60)
    assert ids(lanes.reserve(BERT, 3, {1: per_minute(2)}, max_per_lane=3)) == []
    clock.advance(0.001)
    assert ids(lanes.reserve(BERT, 3, {1: per_minute(2)}, max_per_lane=3)) == ["c"]


def test_a_slow_send_counts_from_when_it_was_sent(lanes: Lanes, clock: FixedClock) -> None:
    lanes.enqueue(1, ["a", "b"])
    [one] = lanes.reserve(ANNA, 1, {1: per_minute(1)}).reservations
    clock.advance(30)
    lanes.settle([Settlement(one, sent_ago_ms=4000)])
    assert lanes.reserve(ANNA, 1, {1: per_minute(1)}).next_ms == round(clock.now * 1000) - 4000 + 60_001


def test_what_was_not_sent_costs_nothing(lanes: Lanes) -> None:
    lanes.enqueue(1, ["a", "b"])
    [one] = lanes.reserve(ANNA, 1, {1: per_minute(1)}).reservations
    lanes.settle([Settlement(one)])
    assert ids(lanes.reserve(ANNA, 1, {1: per_minute(1)})) == ["b"]


def test_room_that_comes_back_is_used_at_once(lanes: Lanes, clock: FixedClock) -> None:
    lanes.enqueue(1, ["a", "b", "c"])
    lanes.settle([Settlement(one, sent_ago_ms=0) for one in lanes.reserve(ANNA, 1, {1: per_minute(2)}).reservations])
    clock.advance(1)
    [back] = lanes.reserve(ANNA, 1, {1: per_minute(2)}).reservations
    assert lanes.reserve(ANNA, 1, {}).due_lanes == ()
    lanes.settle([Settlement(back)])
    assert lanes.reserve(ANNA, 1, {}).due_lanes == (1,)


def test_sends_that_are_reported_out_of_order_stay_sorted(lanes: Lanes, clock: FixedClock) -> None:
    lanes.enqueue(1, ["a", "b", "c"])
    first, second = lanes.reserve(ANNA, 2, {1: per_minute(2)}, max_per_lane=2).reservations
    clock.advance(5)
    lanes.settle([Settlement(second, sent_ago_ms=0)])
    lanes.settle([Settlement(first, sent_ago_ms=4000)])
    assert lanes.reserve(ANNA, 1, {1: per_minute(2)}).next_ms == round(clock.now * 1000) + 60_001


def test_a_closed_or_paused_inbox_waits_for_its_hour(lanes: Lanes, clock: FixedClock) -> None:
    now_ms = round(clock.now * 1000)
    lanes.enqueue(1, ["a"])
    held = lanes.reserve(ANNA, 1, {1: EffectiveLimits(now_ms + 7000, now_ms + 9000, ())})
    assert (ids(held), held.next_ms) == ([], now_ms + 7000)
    assert ids(lanes.reserve(ANNA, 1, {1: InboxRules(paused=True).effective_limits(0)})) == []
    lanes.recheck(1)
    assert lanes.reserve(ANNA, 1, {}).due_lanes == (1,)
    assert (
        ids(lanes.reserve(ANNA, 1, {1: EffectiveLimits(0, now_ms, ())})) == []
    )  # the span that the worker knew is over


def test_a_touch_tried_again_later_comes_back_then(lanes: Lanes, clock: FixedClock) -> None:
    lanes.enqueue(1, ["a"])
    [one] = lanes.reserve(ANNA, 1, {1: FREE}).reservations
    assert lanes.settle([Settlement(one, due_ms=round(clock.now * 1000) + 1000)]) == 1
    assert ids(lanes.reserve(ANNA, 1, {1: FREE})) == []
    clock.advance(1)
    assert ids(lanes.reserve(ANNA, 1, {1: FREE})) == ["a"]


def test_an_ended_lease_is_taken_over_and_the_old_token_is_void(lanes: Lanes, clock: FixedClock) -> None:
    lanes.enqueue(1, ["a"])
    [old] = lanes.reserve(ANNA, 1, {1: FREE}).reservations
    assert lanes.recover(BERT, 10) == ()
    clock.advance(60)
    [new] = lanes.recover(BERT, 10)
    assert (new.touch_id, new.inbox_id) == ("a", 1)
    assert new.token > old.token
    assert lanes.recover(BERT, 10) == ()
    assert lanes.settle([Settlement(old)]) == 0
    assert lanes.settle([Settlement(new)]) == 1


def test_a_renewed_lease_is_not_taken_over(lanes: Lanes, clock: FixedClock, view: QueueView) -> None:
    lanes.enqueue(1, ["a"])
    held = lanes.reserve(ANNA, 1, {1: FREE}).reservations
    clock.advance(50)
    assert lanes.renew(ANNA, held) == 1
    clock.advance(50)
    assert lanes.recover(BERT, 10) == ()
    assert lanes.renew(BERT, [Reservation("a", 1, 5)]) == 0
    assert {name for name, _ in view.overview().workers} == {"anna", "bert"}


def test_a_forgotten_lease_is_adopted_once(lanes: Lanes, redis_of: Any, clock: FixedClock) -> None:
    lanes.enqueue(1, ["a"])
    held = lanes.reserve(ANNA, 1, {1: FREE}).reservations
    redis_of("outreach").flushall()
    assert lanes.adopt(1, 60_000, held) == 1
    assert lanes.adopt(1, 60_000, held) == 0
    assert lanes.settle([Settlement(one) for one in held]) == 1


def test_older_sends_are_remembered_once(lanes: Lanes, redis_of: Any, clock: FixedClock) -> None:
    now_ms = round(clock.now * 1000)
    for _ in range(2):
        lanes.restore_log(1, [now_ms - 30_000, now_ms - 20_000])
    lanes.restore_log(1, [now_ms - 40_000])
    assert redis_of("outreach").lrange(keys.log(1), 0, -1) == [b"%d" % (now_ms - 30_000), b"%d" % (now_ms - 20_000)]
    lanes.enqueue(1, ["a"])
    assert lanes.reserve(ANNA, 1, {1: per_minute(2)}).next_ms == now_ms + 30_001


def test_nothing_leaves_a_queue_that_was_lost(lanes: Lanes, redis_of: Any) -> None:
    redis_of("outreach").flushall()
    lanes.enqueue(1, ["a"])
    reserved = lanes.reserve(ANNA, 1, {1: FREE})
    assert (ids(reserved), reserved.is_initialised) == ([], False)
    lanes.mark_initialised(7)
    assert ids(lanes.reserve(ANNA, 1, {1: FREE})) == ["a"]


def test_a_log_holds_a_day(lanes: Lanes, redis_of: Any, clock: FixedClock) -> None:
    for _ in range(3):
        lanes.enqueue(1, ["a"])
        lanes.settle([Settlement(one, sent_ago_ms=0) for one in lanes.reserve(ANNA, 1, {1: FREE}).reservations])
        clock.advance(40_000)
    assert redis_of("outreach").llen(keys.log(1)) == 3
    clock.advance(20_000)
    lanes.enqueue(1, ["a"])
    lanes.settle([Settlement(one, sent_ago_ms=0) for one in lanes.reserve(ANNA, 1, {1: FREE}).reservations])
    assert redis_of("outreach").llen(keys.log(1)) == 2


def test_a_withdrawn_touch_never_leaves(lanes: Lanes, clock: FixedClock) -> None:
    lanes.enqueue(1, ["a", "b"], [("c", 1)])
    lanes.withdraw(1, ["a", "c"])
    assert ids(lanes.reserve(ANNA, 3, {1: FREE}, max_per_lane=3)) == ["b"]


def test_a_held_lane_rests(lanes: Lanes, clock: FixedClock) -> None:
    lanes.enqueue(1, ["a"])
    lanes.recheck(1, held_until_ms=round(clock.now * 1000) + 3000)
    assert ids(lanes.reserve(ANNA, 1, {1: FREE})) == []
    clock.advance(3)
    assert ids(lanes.reserve(ANNA, 1, {1: FREE})) == ["a"]


def test_a_touch_of_a_refused_inbox_waits_behind_the_others(lanes: Lanes, clock: FixedClock) -> None:
    lanes.enqueue(1, ["a", "b", "c"])
    [first] = lanes.reserve(ANNA, 1, {1: FREE}).reservations
    lanes.settle([Settlement(first, due_ms=BEHIND)])
    assert ids(lanes.reserve(ANNA, 3, {1: FREE}, max_per_lane=3)) == ["b", "c", "a"]


def test_all_holds_are_set_and_ended_together(lanes: Lanes, view: QueueView, clock: FixedClock) -> None:
    for inbox_id in (1, 2, 3):
        lanes.recheck(inbox_id, held_until_ms=5)
    lanes.recheck(3, held_until_ms=0)
    lanes.recheck_all({1: 7, 4: 8})
    assert {one: lane.history.held_until_ms for one, lane in view.lanes([1, 2, 3, 4]).items()} == {
        1: 7,
        2: 0,
        3: 0,
        4: 8,
    }


def test_several_lanes_settle_in_one_call(lanes: Lanes, view: QueueView) -> None:
    for inbox_id in (1, 2, 3):
        lanes.enqueue(inbox_id, [f"{inbox_id}a", f"{inbox_id}b"])
    held = lanes.reserve(ANNA, 6, {1: FREE, 2: FREE, 3: FREE}, max_per_lane=2).reservations
    assert view.depths([1, 2, 3]) == {1: 2, 2: 2, 3: 2}
    assert lanes.settle([Settlement(one, sent_ago_ms=0) for one in held]) == 6
    assert view.depths([1, 2, 3]) == {1: 0, 2: 0, 3: 0}
    assert view.lane_count() == 0


def test_a_large_batch_goes_in_whole(lanes: Lanes, view: QueueView) -> None:
    lanes.enqueue(
        1, [f"t{number}" for number in range(2500)], [(f"d{number}", 9_000_000_000_000) for number in range(1500)]
    )
    assert view.depths([1]) == {1: 4000}


@pytest.mark.real_server
def test_one_enqueue_wakes_one_idle_worker(lanes: Lanes, clock: FixedClock) -> None:
    for touch_id in ("a", "b"):
        lanes.enqueue(7, [touch_id])
    assert lanes.wait_for_wake(1.0) == 7
    assert lanes.wait_for_wake(0.01) is None
    lanes.enqueue(8, [], [("c", round(clock.now * 1000) + 1000)])
    assert lanes.wait_for_wake(0.01) is None


@pytest.mark.real_server
def test_a_worker_that_leaves_work_behind_wakes_another(lanes: Lanes) -> None:
    lanes.enqueue(1, ["a", "b"])
    assert lanes.wait_for_wake(1.0) == 1
    lanes.reserve(ANNA, 1, {1: FREE})
    assert lanes.wait_for_wake(1.0) == 1
    lanes.reserve(ANNA, 1, {1: FREE})
    assert lanes.wait_for_wake(0.01) is None


def test_many_inboxes_are_filled_in_one_go(lanes: Lanes, view: QueueView, clock: FixedClock) -> None:
    due_ms = round(clock.now * 1000) + 500
    lanes.enqueue_many(
        [
            EnqueueBatch(1, ["a", "b"], [("c", due_ms)]),
            EnqueueBatch(2, (), [("d", due_ms)]),
            EnqueueBatch(3, [f"t{number}" for number in range(2500)]),
        ]
    )
    assert view.queued_ids([1]) == {"a", "b", "c"}
    assert {one: its.next_ms for one, its in view.lanes([1, 2]).items()} == {1: due_ms - 500, 2: due_ms}
    assert view.depths([1, 2, 3]) == {1: 3, 2: 1, 3: 2500}
