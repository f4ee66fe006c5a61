from dataclasses import replace
from typing import Any

from signals_app import keys
from signals_app.store.group import ConsumerGroup
from signals_app.store.pending import PendingDeliveries
from tests.signals_app.conftest import fields, ids


def test_pages_go_on_where_the_last_one_ended(redis_client: Any, group: ConsumerGroup) -> None:
    for number in range(5):
        redis_client.xadd(keys.LIVE, fields(number, symbol=f"S{number}"))
    held = ids(group.read("one", count=3, block_ms=0) + group.read("two", count=2, block_ms=0))
    pending = PendingDeliveries(redis_client)
    first = pending.page(group.name, after="0-0", count=3)
    assert [(one.entry_id, one.consumer, one.symbol, one.deliveries) for one in first] == [
        (held[0], "one", "S0", 1), (held[1], "one", "S1", 1), (held[2], "one", "S2", 1),
    ]  # fmt: skip
    rest = pending.page(group.name, after=first[-1].entry_id, count=3)
    assert [(one.entry_id, one.signal_id) for one in rest] == [
        (held[number], fields(number)["signal_id"]) for number in (3, 4)
    ]
    of_two = pending.page(group.name, after="0-0", count=10, consumer="two")
    assert [replace(one, idle_seconds=0) for one in of_two] == [replace(one, idle_seconds=0) for one in rest]


def test_whatever_is_in_an_entry_it_can_be_shown(redis_client: Any, group: ConsumerGroup) -> None:
    redis_client.xadd(keys.LIVE, {b"symbol": b"\xff" * 1_000, b"payload": b"x" * 100_000})
    gone = redis_client.xadd(keys.LIVE, fields(1))
    group.read("one", count=2, block_ms=0)
    redis_client.xdel(keys.LIVE, gone)
    odd, lost = PendingDeliveries(redis_client).page(group.name, after="0-0", count=10)
    assert (odd.symbol, odd.signal_id) == ("\\xff" * 80, "")
    assert (lost.entry_id, lost.symbol) == (gone.decode(), "")


def test_a_missing_group_has_no_pending_deliveries(redis_client: Any) -> None:
    assert PendingDeliveries(redis_client).page("nobody", after="0-0", count=10) == []
