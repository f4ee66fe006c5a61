"""The consumer with all its parts, step by step, on a real server."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError
from redis.retry import Retry

from signals_app import keys
from signals_app.domain.delivery import RejectError, RetryLaterError, UnavailableError
from signals_app.store.group import ConsumerGroup, NameTakenError
from tests.doubles import DownRedis
from tests.signals_app.conftest import ConsumerHarness, RecordingHandler, fields, number_of

Build = Callable[..., ConsumerHarness]


def add(redis_client: Any, *numbers: int, **changes: str) -> list[str]:
    return [redis_client.xadd(keys.LIVE, fields(number, **changes)).decode() for number in numbers]


def dead_reasons(redis_client: Any) -> list[str]:
    return [letter[b"dead_reason"].decode() for _, letter in redis_client.xrange(keys.DEAD)]


def test_new_events_are_handled_in_order_and_acknowledged(
    redis_client: Any, group: ConsumerGroup, harness: Build, handler: RecordingHandler
) -> None:
    add(redis_client, *range(25))
    one = harness()
    one.drain()
    assert handler.batches == [list(range(10)), list(range(10, 20)), list(range(20, 25))]
    assert group.pending() == 0
    assert str(one.consumer.counters) == "consumed=25 executed=25 duplicates=0 dead=0 reclaimed=0"


def test_without_a_stream_there_is_nothing_to_do(redis_of: Any, harness: Build, redis_client: Any) -> None:
    assert harness().step().is_idle
    assert redis_client.xinfo_groups(keys.LIVE)[0]["name"] == keys.DEFAULT_GROUP.encode()


def test_invalid_entries_are_dead_lettered_and_the_others_handled(
    redis_client: Any, harness: Build, handler: RecordingHandler
) -> None:
    add(redis_client, 1)
    add(redis_client, 2, direction="up")
    redis_client.xadd(keys.LIVE, {b"\xff": b"\xff"})
    add(redis_client, 3)
    one = harness()
    one.drain()
    assert handler.handled == [1, 3]
    assert [reason.split(":")[0] for reason in dead_reasons(redis_client)] == ["bad-direction", "not-utf8"]
    assert str(one.consumer.counters) == "consumed=4 executed=2 duplicates=0 dead=2 reclaimed=0"


def test_one_bad_event_does_not_hold_up_its_batch(redis_client: Any, harness: Build, handler: RecordingHandler) -> None:
    add(redis_client, 1, 2, 3)
    handler.fails = lambda event: RejectError("no such market") if number_of(event) == 2 else None
    harness().drain()
    assert handler.batches == [[1, 2, 3], [1], [2], [3]]
    assert dead_reasons(redis_client) == ["rejected: no such market"]


def test_an_event_that_keeps_failing_is_retried_with_back_off_and_then_dead_lettered(
    redis_client: Any, harness: Build, handler: RecordingHandler
) -> None:
    (entry_id,) = add(redis_client, 1)
    handler.fails = lambda event: RuntimeError("broken")
    one = harness(max_deliveries=3)
    tried_at = []
    for _ in range(200):
        tries = len(handler.batches)
        one.step()
        if len(handler.batches) > tries:
            tried_at.append(one.clock.now)
        one.clock.advance(0.1)
    waits = [later - earlier for earlier, later in pairwise(tried_at)]
    assert waits == [pytest.approx(0.5, abs=0.11), pytest.approx(1.0, abs=0.11)]
    assert dead_reasons(redis_client) == ["too-many-deliveries: delivered 4 times, 3 at most"]
    ((_, letter),) = redis_client.xrange(keys.DEAD)
    assert (letter[b"dead_deliveries"], letter[b"dead_source_id"].decode()) == (b"4", entry_id)
    assert one.consumer.counters.dead == 1


def test_a_handler_can_choose_its_wait_and_others_go_on_meanwhile(
    redis_client: Any, harness: Build, handler: RecordingHandler
) -> None:
    handler.fails = lambda event: (
        RetryLaterError(after_seconds=90) if number_of(event) == 1 and len(handler.batches) == 1 else None
    )
    add(redis_client, 1)
    one = harness()
    one.step()
    add(redis_client, 2)
    one.clock.advance(80)
    one.step()
    assert handler.handled == [1, 2]
    assert not one.step().is_idle, "something still waits"
    one.clock.advance(11)
    one.drain()
    assert handler.handled == [1, 2, 1]


def test_nothing_new_is_taken_while_too_much_waits(
    redis_client: Any, harness: Build, handler: RecordingHandler
) -> None:
    with redis_client.pipeline(transaction=False) as pipeline:
        for number in range(1_005):
            pipeline.xadd(keys.LIVE, fields(number))
        pipeline.execute()
    handler.takes_batch = False
    handler.fails = lambda event: RetryLaterError(after_seconds=60)
    one = harness(count=1_000)
    assert one.step().taken == 1_000
    step = one.step()
    assert (step.taken, step.is_idle) == (0, False)
    assert step.wait_seconds > 0
    handler.fails = lambda event: None
    one.clock.advance(61)
    one.drain(2_000)
    assert len(set(handler.handled)) == 1_005


def test_a_consumer_recovers_entries_of_its_previous_process(
    redis_client: Any, group: ConsumerGroup, harness: Build, handler: RecordingHandler
) -> None:
    add(redis_client, 1, 2, 3)
    group.read("one", count=2, block_ms=0)
    one = harness("one")
    one.drain()
    assert handler.batches == [[1], [2], [3]]
    assert one.consumer.counters.reclaimed == 2


def test_entries_of_expired_consumers_are_claimed_and_handled_one_by_one(
    redis_client: Any, expiring_group: ConsumerGroup, harness: Build, handler: RecordingHandler
) -> None:
    add(redis_client, 1, 2, 3)
    expiring_group.acquire_name(["dead"], "token")
    expiring_group.read("dead", count=3, block_ms=0)
    one = harness("one")
    one.drain()
    assert handler.batches == [[1], [2], [3]]
    assert str(one.consumer.counters) == "consumed=3 executed=3 duplicates=0 dead=0 reclaimed=3"


@pytest.mark.parametrize("how", ["claimed for it", "read under its name"])
def test_what_another_client_assigns_to_a_live_consumer_is_handled(
    redis_client: Any, group: ConsumerGroup, harness: Build, handler: RecordingHandler, how: str
) -> None:
    one = harness("one", claim_idle_ms=60_000)
    one.drain()
    (entry_id,) = add(redis_client, 1)
    if how == "claimed for it":
        group.read("tool", count=1, block_ms=0)
        redis_client.xclaim(keys.LIVE, group.name, "one", 0, [entry_id])
    else:
        redis_client.xreadgroup(group.name, "one", {keys.LIVE: ">"})
    one.clock.advance(2)
    one.step()
    assert handler.handled == [], "the other client may be about to handle it"
    redis_client.xclaim(keys.LIVE, group.name, "one", 0, [entry_id], idle=61_000, justid=True)
    one.drain()
    assert handler.handled == [1]
    assert one.consumer.counters.reclaimed == 1
    assert group.pending() == 0


def test_a_delayed_redelivery_is_not_recovered_early(
    redis_client: Any, harness: Build, handler: RecordingHandler
) -> None:
    add(redis_client, 1)
    handler.fails = lambda event: RetryLaterError(after_seconds=90)
    one = harness()
    for _ in range(80):
        one.step()
        one.clock.advance(1)
    assert handler.handled == [1]


def test_entries_of_live_consumers_are_not_claimed(
    redis_client: Any, group: ConsumerGroup, harness: Build, handler: RecordingHandler
) -> None:
    add(redis_client, 1)
    group.acquire_name(["busy"], "token")
    group.read("busy", count=1, block_ms=0)
    one = harness("one")
    for _ in range(5):
        assert not one.step().is_idle, "what is pending may still become its own"
        one.clock.advance(2)
    assert handler.handled == []


def test_an_entry_that_crashes_its_consumers_is_dead_lettered_without_the_others(
    redis_client: Any, expiring_group: ConsumerGroup, harness: Build, handler: RecordingHandler
) -> None:
    class KilledError(BaseException):
        pass

    def kill(event: Any) -> None:
        if number_of(event) == 3:
            raise KilledError

    add(redis_client, *range(6))
    handler.fails = kill  # type: ignore[assignment]
    for attempt in range(8):
        victim = harness(f"process{attempt}", in_group=expiring_group, max_deliveries=3)
        try:
            victim.drain()
        except KilledError:
            continue
        break
    assert sorted(set(handler.handled)) == list(range(6))
    assert [letter[b"signal_id"] for _, letter in redis_client.xrange(keys.DEAD)] == [fields(3)["signal_id"].encode()]


def test_when_a_dependency_is_down_the_same_deliveries_are_tried_again_uncounted(
    redis_client: Any, group: ConsumerGroup, harness: Build, handler: RecordingHandler
) -> None:
    add(redis_client, 1, 2)
    one = harness(max_deliveries=1)
    handler.fails = lambda event: UnavailableError("database is locked")
    rests = [one.step().wait_seconds for _ in range(4)]
    assert rests == sorted(rests)
    assert rests[0] > 0
    handler.fails = lambda event: None
    one.drain()
    assert handler.batches[-1] == [1, 2]
    assert dead_reasons(redis_client) == []
    assert group.pending() == 0


def test_an_outage_never_counts_however_often_the_consumer_is_started_anew(
    redis_client: Any, expiring_group: ConsumerGroup, harness: Build, handler: RecordingHandler
) -> None:
    entry_ids = add(redis_client, 1, 2)
    handler.fails = lambda event: UnavailableError("no such table")
    for attempt in range(8):
        one = harness(f"process{attempt}", in_group=expiring_group, max_deliveries=2)
        for _ in range(2 * len(entry_ids)):
            one.step()
        if attempt % 2:  # the others are killed
            one.member.leave()
    counts = [row["times_delivered"] for row in redis_client.xpending_range(keys.LIVE, keys.DEFAULT_GROUP, "-", "+", 9)]
    assert max(counts) <= 1
    handler.fails = lambda event: None
    harness(in_group=expiring_group, max_deliveries=2).drain()
    assert dead_reasons(redis_client) == []
    assert sorted(handler.batches[-2:]) == [[1], [2]]


def test_half_a_batch_done_before_the_dependency_went_down_is_not_done_again(
    redis_client: Any, harness: Build, handler: RecordingHandler
) -> None:
    handler.takes_batch = False
    add(redis_client, 1, 2, 3)
    handler.fails = lambda event: UnavailableError("down") if number_of(event) == 2 else None
    one = harness()
    one.step()
    handler.fails = lambda event: None
    one.drain()
    assert handler.handled == [1, 2, 2, 3]


@pytest.mark.parametrize("command", ["connection_pool", "xpending", "xpending_range", "xgroup_create"])
def test_a_lost_connection_loses_nothing_and_doubles_nothing(
    redis_client: Any, harness: Build, handler: RecordingHandler, command: str
) -> None:
    add(redis_client, 1, 2, 3)
    down = DownRedis(redis_client)
    lost = ConsumerGroup(down, keys.DEFAULT_GROUP, heartbeat_ttl_ms=60_000)
    one = harness(in_group=lost, via=down)
    down.failing_commands = {command}
    rests = [one.step().wait_seconds for _ in range(8)]
    assert rests[-1] == 2.0
    down.failing_commands = set()
    one.drain()
    assert handler.handled == [1, 2, 3]
    assert one.consumer.counters.executed == 3


@pytest.mark.real_server
def test_a_server_that_hangs_is_reconnected(redis_client: Any, harness: Build, handler: RecordingHandler) -> None:
    redis_client.ping()
    path = redis_client.connection_pool.connection_kwargs["path"]
    hasty = Redis(
        unix_socket_path=path, protocol=2, legacy_responses=True, socket_timeout=0.1, retry=Retry(NoBackoff(), 0)
    )
    one = harness(in_group=ConsumerGroup(hasty, keys.DEFAULT_GROUP, heartbeat_ttl_ms=60_000), via=hasty)
    one.drain()
    redis_client.client_pause(1_000)
    assert one.step().wait_seconds > 0, "it does not wait for ever"
    add(redis_client, 1)
    for _ in range(100):
        one.step()
        one.clock.advance(1)
    assert handler.handled == [1]
    hasty.close()


@pytest.mark.real_server
def test_a_server_that_lost_all_data_gets_a_new_group(
    redis_client: Any, harness: Build, handler: RecordingHandler
) -> None:
    add(redis_client, 1)
    one = harness()
    one.drain()
    redis_client.flushall()
    one.step()
    add(redis_client, 2)
    one.drain()
    assert handler.handled == [1, 2]


@pytest.mark.real_server
def test_a_deleted_group_is_created_again_at_the_first_entry(
    redis_client: Any, harness: Build, handler: RecordingHandler
) -> None:
    add(redis_client, 1)
    one = harness()
    one.drain()
    redis_client.xgroup_destroy(keys.LIVE, keys.DEFAULT_GROUP)
    one.drain()
    assert handler.handled == [1, 1], "at least once"


def test_a_wrong_type_is_an_error_not_a_reason_to_wait(redis_client: Any, harness: Build) -> None:
    one = harness()
    one.step()
    redis_client.set(keys.LIVE, "no stream")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        one.drain()


def test_a_name_in_use_is_waited_for_and_then_an_error(redis_client: Any, group: ConsumerGroup, harness: Build) -> None:
    group.acquire_name(["one"], "someone")
    one = harness("one")
    assert one.step().wait_seconds > 0
    one.clock.advance(11)
    with pytest.raises(NameTakenError, match="consumer one"):
        one.step()


def test_a_consumer_without_a_name_of_its_own_takes_a_free_slot(
    redis_client: Any, group: ConsumerGroup, harness: Build
) -> None:
    group.acquire_name(["host-0"], "someone")
    one = harness(names=["host-0", "host-1"])
    one.step()
    assert one.member.name == "host-1"


def test_a_consumer_that_lost_its_slot_goes_on_under_another(
    redis_client: Any, group: ConsumerGroup, expiring_group: ConsumerGroup, harness: Build, handler: RecordingHandler
) -> None:
    silent = harness(names=["host-0", "host-1"], in_group=expiring_group)
    silent.step()
    harness(names=["host-0"]).step()
    silent.member.beat()
    add(redis_client, 1)
    silent.step()
    assert handler.handled == [], "what it read under a name that is not its own"
    silent.step()
    assert silent.member.name == "host-1"


def test_on_stop_no_further_event_is_started_and_the_rest_is_released(
    redis_client: Any, group: ConsumerGroup, harness: Build, handler: RecordingHandler
) -> None:
    handler.takes_batch = False
    add(redis_client, 1, 2, 3)
    leaving = harness("leaving", must_end=lambda: bool(handler.handled))
    leaving.step()
    assert handler.handled == [1]
    leaving.processor.acknowledge_done()
    assert leaving.member.leave() == 2
    harness("successor", claim_idle_ms=3_600_000).drain()
    assert handler.handled == [1, 2, 3]


def test_an_entry_deleted_while_pending_is_dropped(redis_client: Any, group: ConsumerGroup, harness: Build) -> None:
    (entry_id,) = add(redis_client, 1)
    group.read("one", count=1, block_ms=0)
    redis_client.xdel(keys.LIVE, entry_id)
    harness("one").drain()
    assert group.pending() == 0
