import threading
from typing import Any

import pytest

from regime.conf import RegimeConf
from regime.domain.universe import Query
from regime.services.collection import Collection, CollectionMissingError
from regime.services.cycle import Cycle
from regime.services.refresher import CollectionBuild
from regime.store.collection_store import CollectionStore
from tests.doubles import FixedClock
from tests.regime.states import a_state, only, plain_hset, rows_of

CONF = RegimeConf(collection_wait_seconds=5.0)


@pytest.fixture
def collection(store: CollectionStore, build: CollectionBuild, clock: FixedClock) -> Collection:
    return Collection(store, build, CONF, clock)


def symbols(collection: Collection, now: float) -> list[str]:
    return [row["symbol"] for row in rows_of(collection.newest(now).universe.at(now)[1].page(Query(limit=1000)))]


def test_a_missing_collection_is_built_by_the_first_who_asks(
    collection: Collection, redis: Any, server_now: float
) -> None:
    plain_hset(redis, "A", {"computed_at": server_now, "bull:1mo": "0.5"})
    assert symbols(collection, server_now) == ["A"]
    assert redis.exists("avo:{regime}:build-lease") == 0


def test_an_empty_server_has_an_empty_collection(collection: Collection, server_now: float) -> None:
    assert symbols(collection, server_now) == []


def test_while_another_builds_it_is_missing(
    store: CollectionStore, build: CollectionBuild, clock: FixedClock, redis: Any, server_now: float
) -> None:
    redis.set("avo:{regime}:build-lease", "another", px=60_000)
    collection = Collection(store, build, RegimeConf(collection_wait_seconds=0.01), clock)
    with pytest.raises(CollectionMissingError):
        collection.newest(server_now)
    assert redis.get("avo:{regime}:build-lease") == b"another"


def test_of_many_who_ask_one_builds(redis: Any, states: Any, clock: FixedClock, server_now: float) -> None:
    from tests.regime.conftest import build_of

    plain_hset(redis, "A", {"computed_at": server_now, "bull:1mo": "0.5"})
    built = 0

    class Counted(CollectionBuild):
        def build(self, now: float, on_batch: Any = lambda count: None) -> Any:
            nonlocal built
            built += 1
            return build_of(redis, states).build(now, on_batch)

    collection = Collection(CollectionStore(redis, CONF), Counted(None, None), CONF, clock)  # type: ignore[arg-type]
    answers: list[list[str]] = []
    threads = [threading.Thread(target=lambda: answers.append(symbols(collection, server_now))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [["A"]] * 8
    assert built == 1


def test_a_new_version_is_seen_after_the_next_check(
    collection: Collection, cycle: Cycle, clock: FixedClock, server_now: float
) -> None:
    cycle.write([a_state("A", server_now)])
    assert symbols(collection, server_now) == ["A"]
    cycle.write([a_state("B", server_now)])
    assert symbols(collection, server_now) == ["A"]
    clock.advance(CONF.collection_check_seconds + 0.01)
    assert symbols(collection, server_now) == ["A", "B"]


def test_a_version_is_loaded_once(collection: Collection, cycle: Cycle, clock: FixedClock, server_now: float) -> None:
    cycle.write([a_state("A", server_now)])
    first = collection.newest(server_now)
    clock.advance(1)
    assert collection.newest(server_now) is first


def test_an_old_one_is_served_while_a_new_one_is_built(
    collection: Collection, cycle: Cycle, redis: Any, clock: FixedClock, server_now: float
) -> None:
    cycle.write([a_state("A", server_now)])
    plain_hset(redis, "FOREIGN", {"computed_at": server_now, "bull:1mo": "0.5"})
    later = server_now + CONF.collection_max_age_seconds
    assert symbols(collection, later) == ["A"]
    for thread in threading.enumerate():
        if thread.name == "collection-build":
            thread.join()
    clock.advance(1)
    assert symbols(collection, later) == ["A", "FOREIGN"]


def test_a_cursor_walks_through_its_version_to_the_end(
    collection: Collection, cycle: Cycle, clock: FixedClock, server_now: float
) -> None:
    cycle.write([only(f"S{n}", server_now, bull_1mo=n / 10) for n in range(4)])
    first = collection.newest(server_now)
    clock.advance(1)
    cycle.write([only("S0", server_now, bull_1mo=1.0)])
    assert collection.newest(server_now).name != first.name
    pinned = collection.version(first.name)
    assert pinned is not None
    rows = rows_of(pinned.universe.at(server_now)[1].page(Query(order="-score")))
    assert [row["symbol"] for row in rows] == ["S3", "S2", "S1", "S0"]
    assert collection.version("0123456789abcdef") is None


def test_another_process_finds_the_version_of_a_cursor_too(
    collection: Collection,
    cycle: Cycle,
    store: CollectionStore,
    build: CollectionBuild,
    clock: FixedClock,
    server_now: float,
) -> None:
    cycle.write([a_state("A", server_now)])
    name = collection.newest(server_now).name
    cycle.write([a_state("B", server_now)])
    other = Collection(store, build, CONF, clock).version(name)
    assert other is not None
    assert other.built_at == server_now


def test_a_lost_version_is_built_anew(
    collection: Collection, cycle: Cycle, redis: Any, clock: FixedClock, server_now: float
) -> None:
    cycle.write([a_state("A", server_now)])
    redis.delete(*redis.keys("avo:{regime}:collection:*"))
    assert symbols(collection, server_now) == ["A"]
