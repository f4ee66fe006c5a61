from typing import Any

import pytest

from signals_app import keys
from signals_app.domain.entry import MAX_PART
from signals_app.domain.lag import GroupFigures, StreamFigures
from signals_app.store.group import ConsumerGroup
from signals_app.store.stream_figures import FiguresReader
from tests.signals_app.conftest import fields, ids


def add(redis_client: Any, number: int, age_seconds: int = 0) -> list[str]:
    now_ms = redis_client.time()[0] * 1000
    return [
        redis_client.xadd(
            keys.LIVE, fields(one), id=f"{now_ms - age_seconds * 1000}-*" if age_seconds else "*"
        ).decode()
        for one in range(number)
    ]


def only_group(redis_client: Any, **options: Any) -> GroupFigures:
    (group,) = FiguresReader(redis_client, heartbeat_ttl_ms=4_000, **options).read().groups
    return group


def test_without_a_stream_the_figures_are_empty(redis_client: Any) -> None:
    assert FiguresReader(redis_client, heartbeat_ttl_ms=4_000).read() == StreamFigures("signals:live", 0, (), added=0)


def test_ages_and_counts_of_what_waits(redis_client: Any, group: ConsumerGroup, expiring_group: ConsumerGroup) -> None:
    add(redis_client, 3, age_seconds=100)
    group.acquire_name(["alive"], "token")
    expiring_group.acquire_name(["dead"], "token")
    group.read("alive", count=1, block_ms=0)
    group.read("dead", count=1, block_ms=0)
    add(redis_client, 4)
    now = only_group(redis_client)
    assert (now.pending, now.lag, now.lag_exact) == (2, 5, True)
    assert now.oldest_pending_seconds == pytest.approx(100, abs=5)
    assert now.oldest_undelivered_seconds == pytest.approx(100, abs=5)
    assert [(one.name, one.pending, one.alive) for one in now.consumers] == [("alive", 1, True), ("dead", 1, False)]


def test_nothing_waits(redis_client: Any, group: ConsumerGroup) -> None:
    add(redis_client, 2)
    group.acknowledge(ids(group.read("one", count=2, block_ms=0)))
    now = only_group(redis_client)
    assert (now.pending, now.lag, now.lag_exact) == (0, 0, True)
    assert (now.oldest_pending_seconds, now.oldest_undelivered_seconds) == (None, None)


def test_lag_is_counted_where_the_server_has_lost_count(redis_client: Any, group: ConsumerGroup) -> None:
    entry_ids = add(redis_client, 20)
    group.acknowledge(ids(group.read("one", count=5, block_ms=0)))
    redis_client.xdel(keys.LIVE, entry_ids[10])
    now = only_group(redis_client)
    assert (now.lag, now.lag_exact) == (14, True)


def test_a_group_that_has_read_nothing_lags_by_what_is_there(redis_client: Any, group: ConsumerGroup) -> None:
    add(redis_client, 20)
    redis_client.xtrim(keys.LIVE, maxlen=12, approximate=False)
    assert (only_group(redis_client).lag, only_group(redis_client).lag_exact) == (12, True)


@pytest.mark.real_server
def test_beyond_the_count_lag_is_an_estimate_or_unknown(redis_client: Any, group: ConsumerGroup) -> None:
    entry_ids = add(redis_client, 1_200)
    group.read("one", count=1, block_ms=0)
    assert (only_group(redis_client, count_up_to=100).lag, only_group(redis_client, count_up_to=100).lag_exact) == (
        1_199,
        False,
    )
    redis_client.xdel(keys.LIVE, entry_ids[600])
    assert (only_group(redis_client, count_up_to=100).lag, only_group(redis_client, count_up_to=100).lag_exact) == (
        None,
        False,
    )
    assert (only_group(redis_client).lag, only_group(redis_client).lag_exact) == (1_198, True)


def test_the_largest_entry_id_of_all_leaves_nothing_to_look_for(redis_client: Any, group: ConsumerGroup) -> None:
    redis_client.xadd(keys.LIVE, fields(1), id=f"{MAX_PART}-{MAX_PART}")
    assert only_group(redis_client).lag == 1
    group.read("one", count=1, block_ms=0)
    now = only_group(redis_client)
    assert (now.pending, now.lag, now.oldest_undelivered_seconds) == (1, 0, None)


def test_an_emptied_stream_is_not_behind(redis_client: Any, group: ConsumerGroup) -> None:
    add(redis_client, 3)
    redis_client.xtrim(keys.LIVE, maxlen=0, approximate=False)
    assert (only_group(redis_client).lag, only_group(redis_client).oldest_undelivered_seconds) == (0, None)


@pytest.mark.real_server
def test_a_group_with_progress_has_a_drain_time(redis_client: Any, group: ConsumerGroup) -> None:
    add(redis_client, 300)
    assert only_group(redis_client).drain_seconds is None, "it has not been seen at work"
    assert group.record_pace()
    assert not group.record_pace(), "the last note is young"
    seconds, _ = redis_client.time()
    redis_client.hset(keys.PACES, group.name, f"{(seconds - 40) * 1000} 0 {(seconds - 10) * 1000} 0")
    group.acknowledge(ids(group.read("one", count=100, block_ms=0)))
    group.read("one", count=100, block_ms=0)
    assert only_group(redis_client).drain_seconds == pytest.approx(200 * 40 / 100, rel=0.1)
    group.forget()
    assert not redis_client.hexists(keys.PACES, group.name)


@pytest.mark.real_server
def test_sampling_restarts_when_a_group_was_set_back(redis_client: Any, group: ConsumerGroup) -> None:
    add(redis_client, 3)
    redis_client.hset(keys.PACES, group.name, "1000 7 2000 9")
    assert group.record_pace()
    assert redis_client.hget(keys.PACES, group.name).split()[1:] == [b"0"]
    group.acknowledge(ids(group.read("one", count=3, block_ms=0)))
    redis_client.hset(keys.PACES, group.name, "1000 1 2000 2")
    assert group.record_pace()
    noted = redis_client.hget(keys.PACES, group.name).split()
    assert (noted[:2], noted[3]) == ([b"2000", b"2"], b"3"), "the last note is the older one now"
