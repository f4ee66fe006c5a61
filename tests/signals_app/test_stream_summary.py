"""The overview of the stream agrees with the exact figures and lists expired consumers."""

from typing import Any

import pytest

from signals_app import keys
from signals_app.domain.lag import GroupFigures, StreamFigures
from signals_app.store.group import ConsumerGroup
from signals_app.store.stream_figures import MAX_DETAILED, FiguresReader, StreamSummary
from tests.signals_app.conftest import fields, ids

TTL_MS = 4_000


def summary(redis_client: Any) -> StreamFigures:
    return StreamSummary(redis_client, heartbeat_ttl_ms=TTL_MS).read()


def only_group(redis_client: Any) -> GroupFigures:
    [group] = summary(redis_client).groups
    return group


def add(redis_client: Any, number: int) -> list[str]:
    return [redis_client.xadd(keys.LIVE, fields(one)).decode() for one in range(number)]


def test_without_a_stream_there_is_nothing(redis_client: Any) -> None:
    assert summary(redis_client) == StreamFigures(keys.LIVE, 0, (), added=0)


def test_the_summary_agrees_with_the_exact_figures(
    redis_client: Any, group: ConsumerGroup, expiring_group: ConsumerGroup
) -> None:
    expiring_group.acquire_name(["dead"], "token1")
    group.acquire_name(["alive"], "token2")
    add(redis_client, 5)
    group.read("dead", count=2, block_ms=0)
    group.read("foreign", count=1, block_ms=0)
    [seen], [exact] = summary(redis_client).groups, FiguresReader(redis_client, heartbeat_ttl_ms=TTL_MS).read().groups
    for name in ("name", "pending", "lag", "consumers_alive", "has_work"):
        assert getattr(seen, name) == getattr(exact, name), name
    assert seen.oldest_pending_seconds == pytest.approx(exact.oldest_pending_seconds, abs=5)
    assert seen.oldest_undelivered_seconds == pytest.approx(exact.oldest_undelivered_seconds, abs=5)
    consumers = [sorted((one.name, one.pending, one.alive) for one in group.consumers) for group in (seen, exact)]
    assert consumers[0] == consumers[1] == [("alive", 0, True), ("dead", 2, False), ("foreign", 1, False)]
    for of in (seen, exact):
        [expired] = of.expired_consumers
        assert (expired.consumer, expired.held, expired.taken_over_by) == ("dead", 2, "")


def test_delivered_and_deleted_entries_are_no_work(redis_client: Any, group: ConsumerGroup) -> None:
    entry_ids = add(redis_client, 3)
    group.acknowledge(ids(group.read("one", count=2, block_ms=0)))
    assert only_group(redis_client).has_work
    redis_client.xdel(keys.LIVE, entry_ids[2])
    assert not only_group(redis_client).has_work


def test_a_consumer_that_gets_an_expired_name_takes_over(
    redis_client: Any, group: ConsumerGroup, expiring_group: ConsumerGroup
) -> None:
    expiring_group.acquire_name(["one"], "old")
    add(redis_client, 3)
    group.read("one", count=3, block_ms=0)
    group.acquire_name(["one"], "new")
    [expired] = only_group(redis_client).expired_consumers
    assert (expired.consumer, expired.held, expired.taken_over_by) == ("one", 3, "one")
    group.acquire_name(["one"], "new")
    assert len(only_group(redis_client).expired_consumers) == 1


@pytest.mark.real_server
def test_the_first_consumer_that_claims_takes_over(
    redis_client: Any, group: ConsumerGroup, expiring_group: ConsumerGroup
) -> None:
    expiring_group.acquire_name(["one"], "old")
    add(redis_client, 3)
    group.read("one", count=3, block_ms=0)
    group.acquire_name(["two"], "token")
    group.claim_expired("two", min_idle_ms=0, count=2)
    group.claim_expired("three", min_idle_ms=0, count=2)
    group.acquire_name(["one"], "new")
    [expired] = only_group(redis_client).expired_consumers
    assert (expired.consumer, expired.held, expired.taken_over_by) == ("one", 3, "two")


def test_a_graceful_shutdown_is_not_an_expiry(redis_client: Any, group: ConsumerGroup) -> None:
    group.acquire_name(["one"], "token")
    add(redis_client, 1)
    group.read("one", count=1, block_ms=0)
    group.release_name("one", "token", [])
    group.acquire_name(["one"], "next")
    assert only_group(redis_client).expired_consumers == []


def test_an_expiry_is_still_listed_after_an_operator_freed_the_entries(
    redis_client: Any, group: ConsumerGroup, expiring_group: ConsumerGroup
) -> None:
    expiring_group.acquire_name(["one"], "old")
    add(redis_client, 1)
    group.read("one", count=1, block_ms=0)
    group.free("one")
    assert [expired.consumer for expired in only_group(redis_client).expired_consumers] == ["one"]


def test_a_forgotten_group_leaves_no_heartbeat_and_no_expiry(
    redis_client: Any, group: ConsumerGroup, expiring_group: ConsumerGroup
) -> None:
    for token in ("old", "new"):
        expiring_group.acquire_name(["one"], token)
    group.acquire_name(["two"], "token")
    other = ConsumerGroup(redis_client, f"{group.name}-other", heartbeat_ttl_ms=0)
    other.make()
    for token in ("old", "new"):
        other.acquire_name(["one"], token)
    other.forget()
    assert sorted(redis_client.hkeys(keys.MEMBERS)) == [
        b"apex-group", b"apex-group one", b"apex-group one died", b"apex-group two",
    ]  # fmt: skip


def test_a_live_consumer_is_listed_before_its_first_read(redis_client: Any, group: ConsumerGroup) -> None:
    group.acquire_name(["one"], "token")
    [exact] = FiguresReader(redis_client, heartbeat_ttl_ms=TTL_MS).read().groups
    for seen in (exact, only_group(redis_client)):
        assert [(one.name, one.alive) for one in seen.consumers] == [("one", True)]
        assert seen.consumers_alive == 1


def test_only_the_groups_furthest_behind_are_read_in_detail(redis_client: Any) -> None:
    add(redis_client, 8)
    for number in range(6):
        one = ConsumerGroup(redis_client, f"g{number}", heartbeat_ttl_ms=60_000)
        one.make()
        one.acquire_name(["c"], "token")
        one.read("c", count=number + 1, block_ms=0)
    seen = summary(redis_client).groups
    assert [one.name for one in seen if one.ages_known] == [f"g{number}" for number in range(MAX_DETAILED)]
    assert all(one.has_work and one.consumers_alive == 1 for one in seen)
    assert [one.pending for one in seen] == [1, 2, 3, 4, 5, 6]
