from collections.abc import Callable
from typing import Any

import pytest

from signals_app import keys
from signals_app.domain.entry import END
from signals_app.services.consumer import ConsumerOptions
from signals_app.services.operations import start_replay
from signals_app.store.group import ConsumerGroup, ReplayGroups, ReplayRejectedError
from signals_app.store.stream import SignalStream
from tests.signals_app.conftest import ConsumerHarness, RecordingHandler, event, fields


@pytest.fixture
def replays(redis_client: Any) -> ReplayGroups:
    return ReplayGroups(redis_client)


@pytest.fixture
def audit(redis_client: Any) -> ConsumerGroup:
    return ConsumerGroup(redis_client, "audit", heartbeat_ttl_ms=60_000)


@pytest.fixture
def entry_ids(stream: SignalStream) -> list[str]:
    return stream.publish([event(number) for number in range(10)], publisher="p", batch=1).entry_ids


def test_a_group_gets_just_its_range(
    stream: SignalStream,
    replays: ReplayGroups,
    audit: ConsumerGroup,
    redis_client: Any,
    entry_ids: list[str],
    harness: Callable[..., ConsumerHarness],
    handler: RecordingHandler,
) -> None:
    assert start_replay(stream, replays, "audit", entry_ids[2], entry_ids[5]) == 4
    one = harness(in_group=audit, count=3)
    one.drain()
    assert handler.handled == [2, 3, 4, 5]
    assert audit.pending() == 0
    redis_client.xadd(keys.LIVE, fields(99))
    one.drain()
    assert handler.handled == [2, 3, 4, 5]
    (done,) = [row for row in redis_client.xinfo_groups(keys.LIVE) if row["name"] == b"audit"]
    assert done["last-delivered-id"].decode() == END


def test_a_finished_replay_holds_back_no_trim(
    stream: SignalStream,
    replays: ReplayGroups,
    audit: ConsumerGroup,
    group: ConsumerGroup,
    harness: Callable[..., ConsumerHarness],
) -> None:
    first = stream.publish([event(number) for number in range(1_500)], publisher="p", batch=1).entry_ids
    start_replay(stream, replays, "audit", first[0], first[0])
    group.acknowledge([delivery.entry_id for delivery in group.read("one", count=1_500, block_ms=0)])
    assert stream.trim() == 0
    harness(in_group=audit).drain()
    stream.trim()
    assert stream.length() < 1_200


def test_the_same_group_can_be_given_another_range_once_it_is_done(
    stream: SignalStream,
    replays: ReplayGroups,
    audit: ConsumerGroup,
    entry_ids: list[str],
    harness: Callable[..., ConsumerHarness],
    handler: RecordingHandler,
) -> None:
    start_replay(stream, replays, "audit", entry_ids[8], entry_ids[8])
    with pytest.raises(ReplayRejectedError, match="has not finished"):
        start_replay(stream, replays, "audit", entry_ids[0], entry_ids[1])
    one = harness(in_group=audit)
    one.drain()
    start_replay(stream, replays, "audit", entry_ids[0], entry_ids[1])
    one.drain()
    assert handler.handled == [8, 0, 1]


def test_a_live_group_is_not_turned_into_a_replay(
    stream: SignalStream, replays: ReplayGroups, group: ConsumerGroup, entry_ids: list[str]
) -> None:
    with pytest.raises(ReplayRejectedError, match="a group of its own"):
        start_replay(stream, replays, group.name, entry_ids[0], entry_ids[1])


def test_what_was_read_beyond_the_range_before_a_crash_is_not_handled_after_it(
    stream: SignalStream,
    replays: ReplayGroups,
    audit: ConsumerGroup,
    entry_ids: list[str],
    harness: Callable[..., ConsumerHarness],
    handler: RecordingHandler,
) -> None:
    start_replay(stream, replays, "audit", entry_ids[0], entry_ids[1])
    audit.read("killed", count=5, block_ms=0)
    harness(in_group=audit).drain()
    assert handler.handled == [0, 1]


def test_an_end_of_the_past_does_not_finish_a_new_range(
    stream: SignalStream, replays: ReplayGroups, audit: ConsumerGroup, entry_ids: list[str]
) -> None:
    start_replay(stream, replays, "audit", entry_ids[0], entry_ids[9])
    assert replays.finish("audit", entry_ids[3], []) is False
    assert len(audit.read("one", count=100, block_ms=0)) == 10


def test_an_empty_range_makes_no_group(
    stream: SignalStream, replays: ReplayGroups, redis_client: Any, entry_ids: list[str]
) -> None:
    assert start_replay(stream, replays, "audit", "1970-01-01", "1970-01-02") == 0
    assert redis_client.xinfo_groups(keys.LIVE) == []


def test_bounds_the_wrong_way_round_are_refused(stream: SignalStream, replays: ReplayGroups) -> None:
    with pytest.raises(ValueError, match="--from 5-0 is after --to 4-0"):
        start_replay(stream, replays, "audit", "5-0", "4-0")


@pytest.mark.parametrize("name", ["", "a b", "a\tb", "a\u2003b", "x" * 201, "\udcff"])
def test_a_group_that_no_consumer_could_name_is_not_made(
    stream: SignalStream, replays: ReplayGroups, redis_client: Any, entry_ids: list[str], name: str
) -> None:
    with pytest.raises(ValueError, match="--group must be a name of 1 to 200 printable characters"):
        start_replay(stream, replays, name, entry_ids[0], entry_ids[1])
    assert redis_client.xinfo_groups(keys.LIVE) == []
    with pytest.raises(ValueError, match="--group must be"):
        ConsumerOptions(group=name).check()
