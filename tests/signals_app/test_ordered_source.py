"""``--ordered``: each symbol's events are handled in the order of the stream, whoever holds them."""

import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from signals_app import keys
from signals_app.domain.delivery import RejectError, RetryLaterError, UnavailableError
from signals_app.store.group import ConsumerGroup
from tests.signals_app.conftest import ConsumerHarness, RecordingHandler, number_of
from tests.signals_app.test_consumer import add, dead_reasons

Build = Callable[..., ConsumerHarness]
SYMBOLS = ("AAPL", "MSFT", "NVDA")


def add_by_turns(redis_client: Any, count: int) -> None:
    for number in range(count):
        add(redis_client, number, symbol=SYMBOLS[number % len(SYMBOLS)])


def by_symbol(numbers: Iterable[int]) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in SYMBOLS]
    for number in numbers:
        found[number % len(SYMBOLS)].append(number)
    return found


def test_a_batch_has_one_event_a_symbol(redis_client: Any, harness: Build, handler: RecordingHandler) -> None:
    add_by_turns(redis_client, 7)
    one = harness(ordered=True)
    one.drain()
    assert handler.batches == [[0, 1, 2], [3, 4, 5], [6]]
    assert str(one.consumer.counters) == "consumed=7 executed=7 duplicates=0 dead=0 reclaimed=0"


def test_a_failed_event_holds_up_its_symbol_alone(redis_client: Any, harness: Build, handler: RecordingHandler) -> None:
    add_by_turns(redis_client, 6)
    failed = []

    def fails(event: Any) -> Exception | None:
        failed.extend([number_of(event)] if number_of(event) == 0 else [])
        return RetryLaterError(after_seconds=60) if number_of(event) == 0 and len(failed) < 3 else None

    handler.fails = fails
    one = harness(ordered=True)
    for _ in range(5):
        assert not one.step().is_idle
    assert handler.handled.count(3) == 0
    assert {1, 2, 4, 5} <= set(handler.handled)
    one.clock.advance(61)
    one.drain()
    assert [number for number in handler.handled if number % 3 == 0][-2:] == [0, 3]


def test_what_goes_to_the_dead_letters_lets_its_symbol_go_on(
    redis_client: Any, harness: Build, handler: RecordingHandler
) -> None:
    add(redis_client, 1, 2)
    handler.fails = lambda event: RejectError("no such market") if number_of(event) == 1 else None
    harness(ordered=True).drain()
    assert handler.handled == [1, 2]
    assert dead_reasons(redis_client) == ["rejected: no such market"]


def test_an_event_waits_for_an_earlier_one_of_another_consumer(
    redis_client: Any, group: ConsumerGroup, harness: Build, handler: RecordingHandler
) -> None:
    add_by_turns(redis_client, 5)
    group.acquire_name(["busy"], "token")
    (first,) = group.read("busy", count=1, block_ms=0)
    one = harness(ordered=True)
    for _ in range(4):
        assert not one.step().is_idle
        one.clock.advance(2)
    assert handler.handled == [1, 2, 4], "0 is pending elsewhere, so 3 waits"
    group.acknowledge([first.entry_id])
    one.drain()
    assert handler.handled == [1, 2, 4, 3]


def test_entries_of_an_expired_consumer_come_first(
    redis_client: Any, expiring_group: ConsumerGroup, harness: Build, handler: RecordingHandler
) -> None:
    add(redis_client, *range(4))
    one = harness(ordered=True)
    one.consumer.step(one.clock())  # before it claims for the first time, it has nothing
    expiring_group.acquire_name(["dead"], "token")
    add(redis_client, *range(4, 8))
    expiring_group.read("dead", count=2, block_ms=0)
    one.drain()
    assert handler.handled == list(range(8))


def test_held_back_entries_are_released_without_counting(
    redis_client: Any, harness: Build, handler: RecordingHandler
) -> None:
    add(redis_client, 1, 2)
    handler.fails = lambda event: RetryLaterError(after_seconds=60)
    leaving = harness("leaving", ordered=True)
    leaving.step()
    leaving.member.leave()
    rows = redis_client.xpending_range(keys.LIVE, keys.DEFAULT_GROUP, "-", "+", 9)
    assert [row["times_delivered"] for row in rows] == [1, 0]
    handler.fails = lambda event: None
    harness("successor", ordered=True).drain()
    assert handler.handled == [1, 1, 2]


def test_held_back_entries_that_were_claimed_are_dropped(
    redis_client: Any, group: ConsumerGroup, harness: Build, handler: RecordingHandler
) -> None:
    _, second = add(redis_client, 1, 2)
    handler.fails = lambda event: RetryLaterError(after_seconds=1)
    one = harness(ordered=True)
    one.step()
    redis_client.xclaim(keys.LIVE, group.name, "thief", 0, [second])
    group.acknowledge([second])
    handler.fails = lambda event: None
    one.drain()
    assert handler.handled == [1, 1]


def test_an_entry_without_a_symbol_or_deleted_blocks_nothing(
    redis_client: Any, group: ConsumerGroup, harness: Build, handler: RecordingHandler
) -> None:
    (deleted,) = add(redis_client, 1)
    redis_client.xadd(keys.LIVE, {"no": "event"})
    group.acquire_name(["busy"], "token")
    group.read("busy", count=2, block_ms=0)
    redis_client.xdel(keys.LIVE, deleted)
    redis_client.xadd(keys.LIVE, {"neither": "one"})
    add(redis_client, 2)
    one = harness(ordered=True)
    one.step()
    assert handler.handled == [2]
    assert len(dead_reasons(redis_client)) == 1


def test_no_more_is_held_back_than_may_wait(redis_client: Any, harness: Build, handler: RecordingHandler) -> None:
    add(redis_client, *range(450))
    handler.fails = lambda event: RetryLaterError(after_seconds=60)
    one = harness(ordered=True, count=100)
    assert one.step().taken == 1
    for _ in range(5):
        step = one.step()
    assert (step.taken, step.wait_seconds > 0) == (0, True)
    assert len(redis_client.xpending_range(keys.LIVE, keys.DEFAULT_GROUP, "-", "+", 1_000)) == 400
    handler.fails = lambda event: None
    one.clock.advance(61)
    one.drain(900)
    assert handler.handled == [0, *range(450)]


@pytest.mark.parametrize("seed", range(3))
def test_two_consumers_that_fail_now_and_then_keep_the_order(
    redis_client: Any, expiring_group: ConsumerGroup, harness: Build, handler: RecordingHandler, seed: int
) -> None:
    """Steps by chance, some events fail, the database is gone at times, and one of the two is killed on the way."""
    rng = random.Random(seed)
    done: list[int] = []

    def fails(event: Any) -> Exception | None:
        chance = rng.random()
        if chance < 0.2:
            return UnavailableError("locked") if chance < 0.05 else RuntimeError("now and then")
        done.append(number_of(event))
        return None

    handler.fails, handler.takes_batch = fails, False
    add_by_turns(redis_client, 60)
    options = {"ordered": True, "max_deliveries": 50, "count": 4}
    harnesses = [harness("victim", in_group=expiring_group, **options), harness("successor", **options)]
    for number in range(600):
        if number == 20:
            del harnesses[0]
        one = rng.choice(harnesses)
        one.step()
        one.clock.advance(rng.choice([0.1, 1, 30]))
    assert set(done) == set(range(60))
    for numbers in by_symbol(done):
        first_times = list(dict.fromkeys(numbers))
        assert first_times == sorted(first_times)
