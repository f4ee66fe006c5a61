"""Places for live streams: leases on a real server, and what counts while Redis does not answer."""

from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from throttling import keys
from throttling.services.concurrency import ConcurrencyLimiter, Place
from throttling.store.stream_leases import LEASE_MS, Lease, StreamLeases

NOW_MS = 1_790_000_000_000


@pytest.fixture
def leases(redis_of: Any) -> StreamLeases:
    return StreamLeases(redis_of("throttling"))


def test_no_more_leases_than_places(leases: StreamLeases) -> None:
    taken = [leases.hold("user:a", token, 2, NOW_MS) for token in ("1", "2", "3")]
    assert [(lease.held, lease.used) for lease in taken] == [(True, 1), (True, 2), (False, 2)]
    assert leases.hold("user:b", "1", 2, NOW_MS).held
    leases.release("user:a", "1")
    assert leases.hold("user:a", "3", 2, NOW_MS) == Lease(True, 2, LEASE_MS)


def test_no_places_at_all(leases: StreamLeases) -> None:
    assert leases.hold("address:1", "1", 0, NOW_MS) == Lease(False, 0, 0)


def test_a_lease_that_is_not_renewed_ends(leases: StreamLeases) -> None:
    assert leases.hold("user:a", "dead", 1, NOW_MS).held
    assert leases.hold("user:a", "next", 1, NOW_MS + 5_000) == Lease(False, 1, LEASE_MS - 5_000)
    assert leases.hold("user:a", "next", 1, NOW_MS + LEASE_MS).held


def test_a_renewed_lease_lasts_and_takes_no_second_place(leases: StreamLeases) -> None:
    for step in range(4):
        assert leases.hold("user:a", "1", 1, NOW_MS + step * 15_000) == Lease(True, 1, LEASE_MS)
    assert not leases.hold("user:a", "2", 1, NOW_MS + LEASE_MS).held


def test_a_lowered_limit_ends_no_stream(leases: StreamLeases) -> None:
    for token in ("1", "2", "3"):
        leases.hold("user:a", token, 3, NOW_MS)
    assert leases.hold("user:a", "2", 1, NOW_MS) == Lease(True, 3, LEASE_MS)
    assert not leases.hold("user:a", "4", 1, NOW_MS).held


def test_a_clock_that_is_set_back_keeps_no_place_for_longer_than_a_lease(leases: StreamLeases) -> None:
    leases.hold("user:a", "dead", 1, NOW_MS + 3_600_000)
    assert leases.hold("user:a", "next", 1, NOW_MS) == Lease(False, 1, LEASE_MS)
    assert leases.hold("user:a", "next", 1, NOW_MS + LEASE_MS).held


def test_nothing_is_left_behind(leases: StreamLeases, redis_of: Any) -> None:
    leases.hold("user:a", "1", 1)
    assert 0 < redis_of("throttling").pttl(keys.streams("user:a")) <= LEASE_MS
    leases.release("user:a", "1")
    assert not redis_of("throttling").exists(keys.streams("user:a"))


class FailingLeases(StreamLeases):
    def __init__(self) -> None:
        pass

    def hold(self, *_: Any) -> Lease:
        raise RedisConnectionError

    def release(self, *_: Any) -> None:
        raise RedisConnectionError


def test_while_redis_is_away_the_streams_of_this_process_count() -> None:
    limiter = ConcurrencyLimiter(FailingLeases())
    first, second, third = (Place("user:a", 2) for _ in range(3))
    assert [limiter.acquire(place).held for place in (first, second, third)] == [True, True, False]
    assert limiter.renew(first), "nobody loses a place because Redis does not answer"
    limiter.release(first)
    assert limiter.acquire(third).held


def test_two_processes_share_the_places(leases: StreamLeases) -> None:
    one, other = ConcurrencyLimiter(leases), ConcurrencyLimiter(leases)
    place = Place("user:a", 1)
    assert one.acquire(place).held
    assert not other.acquire(Place("user:a", 1)).held
    one.release(place)
    assert other.acquire(Place("user:a", 1)).held
