from typing import Any

import pytest

from signals_app import keys
from signals_app.services.source import Member
from signals_app.store.group import ConsumerGroup, NameTakenError
from tests.doubles import FixedClock
from tests.signals_app.conftest import fields, ids


def member(group: ConsumerGroup, clock: FixedClock, name: str = "me") -> Member:
    return Member(group, [name], stale_after_seconds=2, clock=clock)


@pytest.fixture
def held(redis_client: Any, group: ConsumerGroup) -> list[str]:
    """Two entries read by ``me``."""
    for number in range(2):
        redis_client.xadd(keys.LIVE, fields(number))
    return ids(group.read("me", count=2, block_ms=0))


@pytest.mark.real_server
def test_entries_claimed_during_a_long_pause_are_lost(
    group: ConsumerGroup, expiring_group: ConsumerGroup, clock: FixedClock, held: list[str]
) -> None:
    silent = member(expiring_group, clock)
    silent.join()
    silent.track(held)
    assert group.claim_expired("other", min_idle_ms=0, count=1) == held[:1]
    assert silent.lost(held) == set(), "a young heartbeat is trusted"
    clock.advance(3)
    assert silent.lost(held) == {held[0]}


def test_a_heartbeat_of_the_thread_detects_lost_entries_too(
    redis_client: Any, group: ConsumerGroup, clock: FixedClock, held: list[str]
) -> None:
    busy = member(group, clock)
    busy.join()
    busy.track(held)
    redis_client.xclaim(keys.LIVE, group.name, "other", 0, [held[0]])
    busy.beat()
    assert busy.lost(held) == {held[0]}
    busy.track([held[0]])
    assert busy.lost(held) == set(), "delivered again, it is its own again"


def test_a_lost_name_is_reported_before_an_entry_is_handled(
    group: ConsumerGroup, expiring_group: ConsumerGroup, clock: FixedClock, held: list[str]
) -> None:
    silent = member(expiring_group, clock)
    silent.join()
    silent.track(held)
    member(group, clock).join()
    silent.beat()
    with pytest.raises(NameTakenError):
        silent.lost(held)
    silent.beat()  # and does not fight for it


def test_no_heartbeat_before_joining(redis_client: Any, group: ConsumerGroup, clock: FixedClock) -> None:
    member(group, clock).beat()
    assert redis_client.exists(keys.MEMBERS) == 0


def test_leaving_does_not_count_entries_that_were_not_started(
    redis_client: Any, group: ConsumerGroup, clock: FixedClock, held: list[str]
) -> None:
    leaving = member(group, clock)
    leaving.join()
    leaving.track(held)
    leaving.start(held[:1])
    assert leaving.leave() == 2
    counts = [row["times_delivered"] for row in redis_client.xpending_range(keys.LIVE, group.name, "-", "+", 10)]
    assert counts == [1, 0]
    assert leaving.leave() == 0, "it is gone already"
