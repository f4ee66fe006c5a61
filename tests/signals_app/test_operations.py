from typing import Any

import pytest

from signals_app import keys
from signals_app.services import operations
from signals_app.services.operations import OperationRejectedError
from signals_app.store.group import ConsumerGroup, NameTakenError
from tests.signals_app.conftest import fields


@pytest.fixture
def held(redis_client: Any, group: ConsumerGroup, expiring_group: ConsumerGroup) -> str:
    """One entry that consumer ``one``, which died, was given."""
    expiring_group.acquire_name(["one"], "gone")
    entry_id: bytes = redis_client.xadd(keys.LIVE, fields(1))
    group.read("one", count=1, block_ms=0)
    return entry_id.decode()


def test_the_entries_of_an_expired_consumer_are_freed(group: ConsumerGroup, held: str) -> None:
    assert operations.free_consumer("apex-group", "one") == "1 deliveries of one can be claimed at once."
    assert group.claim_expired("two", min_idle_ms=3_600_000, count=10) == [held]


def test_the_entries_of_a_live_consumer_are_not_freed(group: ConsumerGroup, held: str) -> None:
    group.acquire_name(["one"], "token")
    with pytest.raises(NameTakenError, match="is alive"):
        operations.free_consumer("apex-group", "one")
    assert group.claim_expired("two", min_idle_ms=0, count=10) == []


def test_a_delivery_is_acknowledged_manually_once(group: ConsumerGroup, held: str) -> None:
    assert operations.acknowledge("apex-group", held) == f"{held} is acknowledged for group apex-group."
    assert group.pending() == 0
    with pytest.raises(OperationRejectedError, match="is not pending"):
        operations.acknowledge("apex-group", held)


def test_a_delivery_is_dead_lettered_and_redriven_manually(redis_client: Any, group: ConsumerGroup, held: str) -> None:
    operations.move_to_dead_letters("apex-group", held, "wrong desk")
    ((letter_id, letter),) = redis_client.xrange(keys.DEAD)
    assert letter[b"dead_reason"] == b"by-hand: wrong desk"
    with pytest.raises(OperationRejectedError, match="is not pending"):
        operations.move_to_dead_letters("apex-group", held, "wrong desk")
    assert "is published again as" in operations.redrive(letter_id.decode())
    with pytest.raises(OperationRejectedError, match="there is no dead letter"):
        operations.redrive(letter_id.decode())


@pytest.mark.parametrize(
    "operate",
    [
        lambda: operations.acknowledge("nobody", "1-1"),
        lambda: operations.move_to_dead_letters("nobody", "1-1", "x"),
        lambda: operations.free_consumer("nobody", "one"),
        lambda: operations.forget_group("nobody"),
    ],
)
def test_an_unknown_group_is_refused(redis_client: Any, operate: Any) -> None:
    with pytest.raises(OperationRejectedError, match="there is no group 'nobody'"):
        operate()


def test_what_is_no_entry_id_is_refused(group: ConsumerGroup) -> None:
    with pytest.raises(ValueError, match="not an entry id"):
        operations.acknowledge("apex-group", "soon")


def test_a_forgotten_group_holds_back_nothing(redis_client: Any, group: ConsumerGroup, held: str) -> None:
    slow = ConsumerGroup(redis_client, "slow", heartbeat_ttl_ms=60_000)
    slow.make()
    slow.acquire_name(["reader"], "token")
    with pytest.raises(NameTakenError, match="stop it first"):
        operations.forget_group("slow")
    slow.release_name("reader", "token", [])
    assert "neither its 0 pending deliveries nor the 1 not delivered" in operations.describe_forgetting("slow")
    assert operations.forget_group("slow") == "Group slow is forgotten."
    assert [row["name"] for row in redis_client.xinfo_groups(keys.LIVE)] == [b"apex-group"]
    assert not [field for field in redis_client.hkeys(keys.MEMBERS) if b"slow" in field]


def test_a_group_whose_name_is_no_text_is_the_one_that_is_forgotten(redis_client: Any, group: ConsumerGroup) -> None:
    for name in (b"\xff\xfe", b"\\xff\\xfe"):
        redis_client.xgroup_create(keys.LIVE, name, id="0")
    assert operations.forget_group("\\xff\\xfe") == "Group \\xff\\xfe is forgotten."
    assert {row["name"] for row in redis_client.xinfo_groups(keys.LIVE)} == {b"\\xff\\xfe", b"apex-group"}


def test_a_consumer_whose_name_is_not_utf8_can_be_freed(redis_client: Any, group: ConsumerGroup) -> None:
    redis_client.xgroup_create(keys.LIVE, b"\xff", id="0")
    first, second = (redis_client.xadd(keys.LIVE, fields(number)).decode() for number in (1, 2))
    redis_client.hset(keys.MEMBERS, mapping={b"\xff": "served", b"\xff \xfe": "1 token"})
    redis_client.xreadgroup(b"\xff", b"\xfe", {keys.LIVE: ">"})
    assert operations.pending_of("\\xff", "\\xfe") == 2
    assert operations.free_consumer("\\xff", "\\xfe") == "2 deliveries of \\xfe can be claimed at once."
    assert "\\xfe of group \\xff holds" in operations.describe_delivery("\\xff", first)
    operations.move_to_dead_letters("\\xff", first, "wrong desk")
    operations.acknowledge("\\xff", second)
    assert redis_client.xpending(keys.LIVE, b"\xff")["pending"] == 0


def test_the_default_group_is_kept(group: ConsumerGroup) -> None:
    with pytest.raises(OperationRejectedError, match="keep it"):
        operations.forget_group("apex-group")


@pytest.fixture
def theirs(redis_client: Any, group: ConsumerGroup) -> str:
    """One entry that consumer ``node-1`` of group ``desk``, a program without our heartbeat, has just been given."""
    entry_id: bytes = redis_client.xadd(keys.LIVE, fields(1))
    redis_client.xgroup_create(keys.LIVE, "desk", id="0")
    redis_client.xreadgroup("desk", "node-1", {keys.LIVE: ">"})
    return entry_id.decode()


@pytest.mark.parametrize(
    ("do", "refusal"),
    [
        (
            lambda entry_id: operations.free_consumer("desk", "node-1"),
            "sends no heartbeat but was active 0 s ago",
        ),
        (lambda entry_id: operations.describe_delivery("desk", entry_id), "belongs to another program"),
        (lambda entry_id: operations.acknowledge("desk", entry_id), "belongs to another program"),
        (lambda entry_id: operations.move_to_dead_letters("desk", entry_id, "wrong"), "belongs to another program"),
        (lambda entry_id: operations.forget_group("desk"), "node-1 read group desk less than 60 s ago"),
    ],
)
def test_nothing_is_done_to_what_another_program_works_on(
    redis_client: Any, theirs: str, do: Any, refusal: str
) -> None:
    with pytest.raises(OperationRejectedError, match=refusal):
        do(theirs)
    assert redis_client.xpending(keys.LIVE, "desk")["pending"] == 1


def test_an_active_consumer_without_a_heartbeat_is_not_freed(redis_client: Any, group: ConsumerGroup) -> None:
    redis_client.xadd(keys.LIVE, fields(1))
    redis_client.xreadgroup("apex-group", "tool", {keys.LIVE: ">"})
    with pytest.raises(OperationRejectedError, match="it may be working"):
        operations.free_consumer("apex-group", "tool")
