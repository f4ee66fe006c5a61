from typing import Any

import pytest

from signals_app import keys
from signals_app.roles import operations
from signals_app.roles.operations import OperationRefusedError
from signals_app.store.group import ConsumerGroup, NameTakenError
from tests.signals_app.conftest import fields


@pytest.fixture
def held(redis_client: Any, group: ConsumerGroup) -> str:
    """One entry that consumer ``one``, which has no heartbeat, was given."""
    entry_id: bytes = redis_client.xadd(keys.LIVE, fields(1))
    group.read("one", count=1, block_ms=0)
    return entry_id.decode()


def test_what_a_dead_consumer_holds_is_freed(group: ConsumerGroup, held: str) -> None:
    assert operations.free_consumer("apex-group", "one") == "1 deliveries of one can be claimed at once."
    assert group.claim_dead("two", min_idle_ms=3_600_000, count=10) == [held]


def test_what_a_living_consumer_holds_is_not(group: ConsumerGroup, held: str) -> None:
    group.take_name(["one"], "token")
    with pytest.raises(NameTakenError, match="is alive"):
        operations.free_consumer("apex-group", "one")
    assert group.claim_dead("two", min_idle_ms=0, count=10) == []


def test_a_delivery_is_acknowledged_by_hand_once(group: ConsumerGroup, held: str) -> None:
    assert operations.acknowledge("apex-group", held) == f"{held} is acknowledged for group apex-group."
    assert group.pending() == 0
    with pytest.raises(OperationRefusedError, match="is not pending"):
        operations.acknowledge("apex-group", held)


def test_a_delivery_is_buried_and_redriven_by_hand(redis_client: Any, group: ConsumerGroup, held: str) -> None:
    operations.bury("apex-group", held, "wrong desk")
    ((letter_id, letter),) = redis_client.xrange(keys.DEAD)
    assert letter[b"dead_reason"] == b"by-hand: wrong desk"
    with pytest.raises(OperationRefusedError, match="is not pending"):
        operations.bury("apex-group", held, "wrong desk")
    assert "is published again as" in operations.redrive(letter_id.decode())
    with pytest.raises(OperationRefusedError, match="there is no dead letter"):
        operations.redrive(letter_id.decode())


@pytest.mark.parametrize(
    "operate",
    [
        lambda: operations.acknowledge("nobody", "1-1"),
        lambda: operations.bury("nobody", "1-1", "x"),
        lambda: operations.free_consumer("nobody", "one"),
        lambda: operations.forget_group("nobody"),
    ],
)
def test_an_unknown_group_is_refused(redis_client: Any, operate: Any) -> None:
    with pytest.raises(OperationRefusedError, match="there is no group 'nobody'"):
        operate()


def test_what_is_no_entry_id_is_refused(group: ConsumerGroup) -> None:
    with pytest.raises(ValueError, match="not an entry id"):
        operations.acknowledge("apex-group", "soon")


def test_a_forgotten_group_holds_back_nothing(redis_client: Any, group: ConsumerGroup, held: str) -> None:
    slow = ConsumerGroup(redis_client, "slow", heartbeat_ttl_ms=60_000)
    slow.make()
    slow.take_name(["reader"], "token")
    with pytest.raises(NameTakenError, match="stop it first"):
        operations.forget_group("slow")
    slow.hand_back("reader", "token", [])
    assert "neither its 0 pending deliveries nor the 1 not delivered" in operations.describe_forgetting("slow")
    assert operations.forget_group("slow") == "Group slow is forgotten."
    assert [row["name"] for row in redis_client.xinfo_groups(keys.LIVE)] == [b"apex-group"]
    assert redis_client.exists(keys.MEMBERS) == 0


def test_a_group_whose_name_is_no_text_is_the_one_that_is_forgotten(redis_client: Any, group: ConsumerGroup) -> None:
    for name in (b"\xff\xfe", b"\\xff\\xfe"):
        redis_client.xgroup_create(keys.LIVE, name, id="0")
    assert operations.forget_group("\\xff\\xfe") == "Group \\xff\\xfe is forgotten."
    assert {row["name"] for row in redis_client.xinfo_groups(keys.LIVE)} == {b"\\xff\\xfe", b"apex-group"}


def test_a_consumer_whose_name_is_no_text_can_be_helped(redis_client: Any, group: ConsumerGroup) -> None:
    redis_client.xgroup_create(keys.LIVE, b"\xff", id="0")
    first, second = (redis_client.xadd(keys.LIVE, fields(number)).decode() for number in (1, 2))
    redis_client.xreadgroup(b"\xff", b"\xfe", {keys.LIVE: ">"})
    assert operations.pending_of("\\xff", "\\xfe") == 2
    assert operations.free_consumer("\\xff", "\\xfe") == "2 deliveries of \\xfe can be claimed at once."
    assert "\\xfe of group \\xff holds" in operations.describe_delivery("\\xff", first)
    operations.bury("\\xff", first, "wrong desk")
    operations.acknowledge("\\xff", second)
    assert redis_client.xpending(keys.LIVE, b"\xff")["pending"] == 0


def test_the_default_group_is_kept(group: ConsumerGroup) -> None:
    with pytest.raises(OperationRefusedError, match="keep it"):
        operations.forget_group("apex-group")
