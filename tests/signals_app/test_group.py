import json
from typing import Any

import pytest
from redis.exceptions import ResponseError

from signals_app import keys
from signals_app.domain.delivery import Delivery
from signals_app.store.dead_letters import DeadLetters
from signals_app.store.group import ConsumerGroup, NameTakenError, is_group_missing
from tests.signals_app.conftest import fields, ids


def add(redis_client: Any, number: int) -> list[str]:
    return [redis_client.xadd(keys.LIVE, fields(one)).decode() for one in range(number)]


def pending(redis_client: Any) -> dict[str, tuple[str, int]]:
    """Entry id -> (consumer, delivery count)."""
    rows = redis_client.xpending_range(keys.LIVE, keys.DEFAULT_GROUP, "-", "+", 1_000)
    return {row["message_id"].decode(): (row["consumer"].decode(), row["times_delivered"]) for row in rows}


def test_a_group_gets_what_was_published_before_it_was_made(redis_client: Any) -> None:
    entry_ids = add(redis_client, 3)
    late = ConsumerGroup(redis_client, "late", heartbeat_ttl_ms=1_000)
    assert late.make() is True
    assert late.make() is False
    assert ids(late.read("one", count=10, block_ms=0)) == entry_ids


def test_a_read_keeps_raw_fields_and_counts_one_delivery(redis_client: Any, group: ConsumerGroup) -> None:
    entry_id = redis_client.xadd(keys.LIVE, {b"\xff": b"\x00"}).decode()
    assert group.read("one", count=10, block_ms=0) == [Delivery(entry_id, [b"\xff", b"\x00"], 1)]
    assert group.read("one", count=10, block_ms=1) == []


@pytest.mark.real_server
@pytest.mark.parametrize("what_is_left", ["nothing", "the stream"])
@pytest.mark.parametrize(
    "use",
    [
        lambda group: group.read("me", count=1, block_ms=0),
        lambda group: group.read("me", count=1, block_ms=1),
        lambda group: group.pending(),
        lambda group: group.pending_ids("me", after="0-0", count=1),
        lambda group: group.claim_expired("me", min_idle_ms=0, count=1),
        lambda group: group.deliver_again("me", ["1-1"]),
        lambda group: group.move_to_dead_letters("me", "1-1", reason="", deliveries=1),
        lambda group: group.beat("me", "token", ["1-1"]),
        lambda group: group.release_name("me", "token", []),
        lambda group: group.remove_idle_consumers(0),
    ],
)
def test_a_missing_group_is_distinguished_from_other_errors(redis_client: Any, what_is_left: str, use: Any) -> None:
    lost = ConsumerGroup(redis_client, "lost", heartbeat_ttl_ms=1_000)
    if what_is_left == "the stream":
        add(redis_client, 1)
    with pytest.raises(ResponseError) as refused:
        use(lost)
    assert is_group_missing(refused.value)


def test_a_key_of_another_type_is_no_missing_group(redis_client: Any) -> None:
    redis_client.set(keys.LIVE, "no stream")
    with pytest.raises(ResponseError, match="WRONGTYPE") as refused:
        ConsumerGroup(redis_client, "lost", heartbeat_ttl_ms=1_000).make()
    assert not is_group_missing(refused.value)


def test_a_name_belongs_to_one_live_process(group: ConsumerGroup, expiring_group: ConsumerGroup) -> None:
    assert group.acquire_name(["a", "b"], "token1") == "a"
    assert group.acquire_name(["a", "b"], "token2") == "b"
    assert group.acquire_name(["a", "b"], "token1") == "a", "its own name is free for it"
    with pytest.raises(NameTakenError, match="consumer a of group apex-group"):
        group.acquire_name(["a", "b"], "token3")
    expiring_group.acquire_name(["c"], "token4")
    assert group.acquire_name(["c"], "token5") == "c", "a name whose heartbeat is over is free"


def test_a_heartbeat_is_refused_once_the_name_is_lost(group: ConsumerGroup, expiring_group: ConsumerGroup) -> None:
    expiring_group.acquire_name(["a"], "old")
    group.acquire_name(["a"], "new")
    with pytest.raises(NameTakenError):
        group.beat("a", "old", [])
    assert group.beat("a", "new", []) == set()


def test_a_heartbeat_renews_held_entries_and_returns_them(redis_client: Any, group: ConsumerGroup) -> None:
    first, second, third = add(redis_client, 3)
    group.read("one", count=3, block_ms=0)
    redis_client.xclaim(keys.LIVE, group.name, "one", 0, [first], idle=50_000, justid=True)
    redis_client.xclaim(keys.LIVE, group.name, "thief", 0, [second])
    group.acknowledge([third])
    assert group.beat("one", "token", [first, second, third]) == {first}
    assert pending(redis_client) == {first: ("one", 1), second: ("thief", 2)}, "renewing is no delivery"
    idle_ms = {row["message_id"].decode(): row["time_since_delivered"] for row in
               redis_client.xpending_range(keys.LIVE, group.name, "-", "+", 10)}  # fmt: skip
    assert idle_ms[first] < 40_000


@pytest.mark.real_server
def test_only_entries_of_expired_consumers_are_claimed(
    redis_client: Any, group: ConsumerGroup, expiring_group: ConsumerGroup
) -> None:
    entry_ids = add(redis_client, 4)
    group.acquire_name(["alive"], "token1")
    expiring_group.acquire_name(["dead"], "token2")
    for consumer in ("alive", "dead", "foreign", "me"):
        group.read(consumer, count=1, block_ms=0)
    assert group.claim_expired("me", min_idle_ms=60_000, count=10) == []
    assert group.claim_expired("me", min_idle_ms=0, count=10) == entry_ids[1:3]
    owners = pending(redis_client)
    assert [owners[entry_id] for entry_id in entry_ids] == [("alive", 1), ("me", 1), ("me", 1), ("me", 1)]


@pytest.mark.real_server
def test_a_claim_takes_no_more_than_asked(redis_client: Any, group: ConsumerGroup) -> None:
    add(redis_client, 6)
    group.read("dead1", count=3, block_ms=0)
    group.read("dead2", count=3, block_ms=0)
    assert len(group.claim_expired("me", min_idle_ms=0, count=4)) == 4
    assert len(group.claim_expired("me", min_idle_ms=0, count=4)) == 2


def test_a_redelivery_is_counted_and_skips_entries_of_others(redis_client: Any, group: ConsumerGroup) -> None:
    first, second, third, fourth = add(redis_client, 4)
    group.read("me", count=3, block_ms=0)
    group.read("other", count=1, block_ms=0)
    group.acknowledge([second])
    redis_client.xdel(keys.LIVE, third)
    deliveries, gone = group.deliver_again("me", [first, second, third, fourth])
    assert [(delivery.entry_id, delivery.deliveries) for delivery in deliveries] == [(first, 2)]
    assert deliveries[0].fields[2:4] == [b"symbol", b"AAPL"]
    assert gone == [third]
    assert pending(redis_client) == {first: ("me", 2), fourth: ("other", 1)}


def test_what_a_consumer_holds_is_listed_in_pages(redis_client: Any, group: ConsumerGroup) -> None:
    entry_ids = add(redis_client, 5)
    group.read("me", count=4, block_ms=0)
    group.read("other", count=1, block_ms=0)
    assert group.pending_ids("me", after="0-0", count=3) == entry_ids[:3]
    assert group.pending_ids("me", after=entry_ids[2], count=3) == entry_ids[3:4]


def test_a_dead_letter_is_no_longer_pending(redis_client: Any, group: ConsumerGroup) -> None:
    (entry_id,) = add(redis_client, 1)
    group.read("me", count=1, block_ms=0)
    assert group.move_to_dead_letters("me", entry_id, reason="bad: x", deliveries=3) is True
    assert group.move_to_dead_letters("me", entry_id, reason="bad: x", deliveries=3) is False, "once is enough"
    ((_, letter),) = redis_client.xrange(keys.DEAD)
    dead_at_ms = int(letter.pop(b"dead_at"))
    assert abs(dead_at_ms - int(entry_id.split("-")[0])) < 60_000
    assert letter == {
        **{name.encode(): value.encode() for name, value in fields(0).items()},
        b"dead_reason": b"bad: x",
        b"dead_source_id": entry_id.encode(),
        b"dead_deliveries": b"3",
    }
    assert pending(redis_client) == {}


def test_only_the_holder_can_dead_letter(redis_client: Any, group: ConsumerGroup) -> None:
    (entry_id,) = add(redis_client, 1)
    group.read("other", count=1, block_ms=0)
    assert group.move_to_dead_letters("me", entry_id, reason="bad", deliveries=1) is False
    assert redis_client.xlen(keys.DEAD) == 0


@pytest.mark.real_server  # fakeredis encodes text alone as JSON
def test_an_entry_with_thousands_of_fields_is_dead_lettered_completely(redis_client: Any, group: ConsumerGroup) -> None:
    given = {b"field%d" % number: b'\xff "\\/\x00\n%d' % number for number in range(20_004)}
    redis_client.xadd(keys.LIVE, given)
    (delivery,) = group.read("me", count=1, block_ms=0)
    assert group.move_to_dead_letters("me", delivery.entry_id, reason="too-many-fields", deliveries=1)
    ((letter_id, letter),) = redis_client.xrange(keys.DEAD)
    assert len(letter) == 3_500 + 5
    rest = [part.encode("latin-1") for part in json.loads(letter[b"dead_rest"].decode("latin-1"))]
    kept = {name: value for name, value in letter.items() if not name.startswith(b"dead_")}
    assert kept | dict(zip(rest[::2], rest[1::2], strict=True)) == given
    assert DeadLetters(redis_client, hard_cap=100).redrive(letter_id.decode()) is None
    assert redis_client.xlen(keys.DEAD) == 1, "it never was an event, and is not thrown away"


def test_a_consumer_that_shuts_down_releases_everything(redis_client: Any, group: ConsumerGroup) -> None:
    started, not_started = add(redis_client, 2)
    group.acquire_name(["me"], "token")
    group.read("me", count=2, block_ms=0)
    assert group.release_name("me", "token", [not_started]) == 2
    assert pending(redis_client) == {started: ("me", 1), not_started: ("me", 0)}
    assert group.claim_expired("other", min_idle_ms=3_600_000, count=10) == [started, not_started], (
        "at once, whatever the idle time"
    )


def test_a_consumer_that_lost_its_name_releases_nothing(redis_client: Any, group: ConsumerGroup) -> None:
    add(redis_client, 1)
    group.acquire_name(["me"], "new")
    group.read("me", count=1, block_ms=0)
    assert group.release_name("me", "old", []) == 0
    assert group.claim_expired("other", min_idle_ms=0, count=10) == []


def test_many_entries_are_released_page_by_page(redis_client: Any, group: ConsumerGroup) -> None:
    with redis_client.pipeline(transaction=False) as pipeline:
        for number in range(1_100):
            pipeline.xadd(keys.LIVE, fields(number))
        pipeline.execute()
    group.read("me", count=1_100, block_ms=0)
    assert group.release_name("me", "token", []) == 1_100


def test_only_expired_consumers_without_entries_are_removed(
    redis_client: Any, group: ConsumerGroup, expiring_group: ConsumerGroup
) -> None:
    add(redis_client, 1)
    group.acquire_name(["alive"], "token1")
    expiring_group.acquire_name(["gone"], "token2")
    group.read("holding", count=1, block_ms=0)
    for consumer in ("alive", "gone"):
        redis_client.xgroup_createconsumer(keys.LIVE, group.name, consumer)
    assert group.remove_idle_consumers(60_000) == []
    assert group.remove_idle_consumers(0) == ["gone"]
    left = {row["name"]: row["pending"] for row in redis_client.xinfo_consumers(keys.LIVE, group.name)}
    assert left == {b"alive": 0, b"holding": 1}
    assert sorted(redis_client.hkeys(keys.MEMBERS)) == [b"apex-group", b"apex-group alive"]


def test_pending_counts_all_consumers(redis_client: Any, group: ConsumerGroup) -> None:
    add(redis_client, 3)
    group.read("one", count=1, block_ms=0)
    group.read("two", count=2, block_ms=0)
    assert group.pending() == 3


@pytest.mark.real_server
def test_a_foreign_consumer_long_gone_is_removed_whatever_its_name_is(redis_client: Any, group: ConsumerGroup) -> None:
    redis_client.xgroup_createconsumer(keys.LIVE, group.name, b"\xff")
    assert group.remove_idle_consumers(0) == ["\\xff"]
