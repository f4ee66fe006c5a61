"""A stored collection or dominance log of another format, or with a broken part, is missing and is built anew."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from regime.services.cycle import Cycle
from regime.services.inspection import RegimeInspection
from regime.services.refresher import Refresher
from regime.services.transitions import Transitions
from regime.store.collection_store import CollectionStore
from tests.regime.states import only
from tests.regime.web_process import fresh_web_process

HARMS = {
    "another format": ("format", b"999"),
    "no format": ("format", None),
    "a part is missing": ("symbols", None),
    "a part is broken": ("symbols", b"junk"),
    "shapes are broken": ("shapes", b"{"),
    "built_at is broken": ("built_at", b"soon"),
}


@pytest.fixture(params=HARMS)
def harmed(request: Any, redis: Any, cycle: Cycle, server_now: float, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """What a cycle left, its collection then harmed."""
    cycle.write([only("A", server_now, bull_1mo=0.9), only("B", server_now, bull_1mo=0.9)])
    field, value = HARMS[request.param]
    [key] = redis.keys("avo:{regime}:collection:*")
    if value is None:
        redis.hdel(key, field)
    else:
        redis.hset(key, field, value)
    with fresh_web_process(monkeypatch):
        yield redis


def readable(store: CollectionStore) -> list[str]:
    held = store.load(store.valid().version)
    assert held is not None
    return [symbol.decode() for symbol in held.columns.symbols]


def test_a_request_builds_it_anew(harmed: Any, client: Client, store: CollectionStore) -> None:
    answer = client.get("/api/intelligence/regime")
    assert (answer.status_code, answer.json()["symbols"]) == (200, 2)
    assert readable(store) == ["A", "B"]


def test_the_end_of_a_cycle_builds_it_anew(
    harmed: Any, cycle: Cycle, store: CollectionStore, server_now: float
) -> None:
    cycle.write([only("C", server_now, bull_1mo=0.5)])
    assert readable(store) == ["A", "B", "C"]


def test_the_refresher_builds_it_anew(harmed: Any, store: CollectionStore, server_now: float) -> None:
    assert Refresher.connect(lambda: server_now).step().published
    assert readable(store) == ["A", "B"]


def test_whoever_only_looks_at_it_does_not_fail(harmed: Any, server_now: float) -> None:
    assert sum(RegimeInspection.connect().ages_by_hour()) == 0
    assert [symbol for symbol, _, _ in Transitions.connect(lambda: server_now).changes("1mo")[1]] == ["A", "B"]


def test_a_lost_dominance_log_is_rebuilt_from_the_collection_before(
    redis: Any, cycle: Cycle, server_now: float
) -> None:
    """Or every symbol would have changed."""
    cycle.write([only(symbol, server_now, bull_1mo=0.9) for symbol in "ABC"])
    changes = Transitions.connect(lambda: server_now)
    assert [symbol for symbol, _, _ in changes.changes("1mo")[1]] == ["A", "B", "C"]
    [key] = redis.keys("avo:{regime}:ledger:*")
    redis.hset(key, "newest", b"junk")
    assert changes.changes("1mo")[1] == []
    cycle.write([only("A", server_now, bull_1mo=0.8), only("B", server_now, bear_1mo=0.8)])
    assert [symbol for symbol, _, _ in changes.changes("1mo")[1]] == ["B"]


@pytest.mark.parametrize("field", ["built_at", "symbols", "cycle_ended_at", "old_data"])
def test_a_pointer_with_a_broken_number_is_mended_by_the_next_cycle(
    redis: Any, cycle: Cycle, client: Client, server_now: float, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cycle.write([only("A", server_now, bull_1mo=0.9)])
    redis.hset("avo:{regime}:pointer", field, "soon")
    with fresh_web_process(monkeypatch):
        assert client.get("/api/intelligence/regime").json()["symbols"] == 1
    cycle.write([only("B", server_now, bull_1mo=0.9)])
    assert CollectionStore.connect().pointer().symbols == 2
