"""Fail-overs and moved slots of a Redis Cluster under clients that were there before. Nothing else refreshes their slot
map: each call must find the new primary by itself."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from redis.exceptions import RedisError

from avo_project.redis_client.clients import RoleConnectionFactory
from avo_project.redis_client.cluster import IncompleteScanError
from avo_project.redis_client.roles import cache_settings
from outreach.store.lanes import Lanes
from regime.conf import RegimeConf
from regime.services.refresher import CollectionBuild, Refresher
from regime.store.answer_cache import AnswerCache
from regime.store.collection_store import CollectionStore
from regime.store.state_cache import StateCache, StateScan
from regime.store.ttl_backfill import TtlSetter
from signals_app.domain.event import Event
from signals_app.store.dead_letters import DeadLetters
from signals_app.store.group import ConsumerGroup
from signals_app.store.stream import SignalStream
from tests.end_to_end.cluster_nodes import Cluster
from tests.end_to_end.system import (
    STARTS_WITHIN_SECONDS,
    data_folder,
    environment_for,
    eventually,
    free_port,
    manage,
)
from tests.end_to_end.test_cluster_away import LOOPS, running
from tests.signals_app.conftest import fields, ids
from throttling.domain.policies import Hit, parse_rates
from throttling.store.window_limiter import WindowLimiter

BACK_WITHIN_SECONDS = 5
STATES = 600
EVENT = Event("00000000-0000-4000-8000-000000000000", "A", "long", 0.5, 1)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with data_folder() as found:
        yield found


@pytest.fixture(scope="module")
def replicated(folder: Path) -> Iterator[Cluster]:
    cluster = Cluster(folder, replicas=1)
    try:
        yield cluster
    finally:
        cluster.end()


def calls(url: str, folder: Path) -> dict[str, tuple[str, Callable[[], object]]]:
    """By name: a key, and a hot call about it, over the clients of this process."""
    settings = cache_settings({"REDIS_URL": url}, folder)

    def client(alias: str) -> Any:
        return RoleConnectionFactory(settings[alias]["OPTIONS"]).connect(url)

    policies, batches = parse_rates("anonymous=1000000/min")["anonymous"], iter(range(1, 10**9))
    states, answers = StateCache(client("regime"), RegimeConf.load()), AnswerCache(client("default"), RegimeConf.load())
    stream = SignalStream(client("signals"), soft_cap=50_000, hard_cap=1_000_000)
    group, letters = (
        ConsumerGroup(client("signals"), "apex-group", heartbeat_ttl_ms=30_000),
        DeadLetters(client("signals"), hard_cap=1_000_000),
    )
    limiter, collection = WindowLimiter(client("throttling")), CollectionStore(client("regime"), RegimeConf.load())
    lanes, publisher = Lanes(client("outreach")), f"p{time.monotonic_ns()}"
    group.make()
    lanes.mark_initialised(1)
    return {
        "state": ("argus:regime:S1", lambda: states.get("S1")),
        "states": ("argus:regime:S2", lambda: states.get_many(["S2"])),
        "pointer": ("avo:{regime}:pointer", collection.pointer),
        "limit": ("throttle:{ip:1}:60", lambda: limiter.hit(Hit("ip:1", policies))),
        "publish": ("signals:live", lambda: stream.publish([EVENT], publisher=publisher, batch=next(batches))),
        "read": ("signals:live", lambda: read_and_acknowledge(group)),
        "acknowledge": ("signals:live", lambda: group.acknowledge(["0-1"])),
        "dead letters": ("{signals:live}:dead", lambda: letters.newest_first(1)),
        "answer": ("avo:{macro}:lease:a", lambda: answers.take("a", time.time())),
        "lanes": ("{outreach}:ready", lanes.first),
        "wake": ("{outreach}:wake", lambda: lanes.wait_for_wake(0.05)),
    }


def read_and_acknowledge(group: ConsumerGroup) -> None:
    """An entry left pending would be claimed by the consumers of another test, after 30 s."""
    if entries := group.read("c", count=1, block_ms=0):
        group.acknowledge(ids(entries))


def works_within(seconds: float, call: Callable[[], object]) -> None:
    """Tried again as the loops and callers do, after a RedisError alone."""
    until = time.monotonic() + seconds
    while True:
        try:
            call()
            return
        except RedisError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def call_while_moving(name: str, call: Callable[[], object]) -> None:
    """The script of several keys, some missing, gets TRYAGAIN while the slot moves, since neither node can tell."""
    if name == "answer":
        with suppress(RedisError):
            call()
    else:
        call()


def test_every_call_finds_the_replica_that_was_promoted(replicated: Cluster, folder: Path) -> None:
    """After kill -9 of the primaries, one after the other, and back."""
    by_name = calls(replicated.url, folder)
    for key in ("argus:regime:S1", "signals:live", "{outreach}:ready"):
        port = replicated.owner(key)
        assert port is not None
        affected = [call for one, call in by_name.values() if replicated.owner(one) == port]
        replicated.kill(port)
        eventually(lambda key=key, port=port: replicated.owner(key) not in {None, port})
        for call in affected:
            works_within(BACK_WITHIN_SECONDS, call)
        replicated.start(port)
        replicated.wait_until_whole(1)


def test_every_call_survives_a_planned_failover(replicated: Cluster, folder: Path) -> None:
    by_name = calls(replicated.url, folder)
    for key in ("argus:regime:S1", "signals:live", "{outreach}:ready"):
        replicated.fail_over(key)
        for _, call in by_name.values():
            works_within(BACK_WITHIN_SECONDS, call)


def test_every_process_goes_on_after_a_primary_was_killed(replicated: Cluster) -> None:
    with data_folder() as own:
        unlimited = {"THROTTLE_RATES": "anonymous=100000/min"}
        environment = environment_for(own, free_port()) | {"REDIS_URL": replicated.url} | unlimited
        web = f"http://127.0.0.1:{environment['PORT']}"
        with running(environment) as processes:
            states, signals = own / "states.ndjson", own / "signals.ndjson"
            symbols = [f"K{number}" for number in range(12)]
            scores = {"1mo": {"bull": 0.7}}
            rows = [{"symbol": symbol, "computed_at": time.time(), "scores": scores} for symbol in symbols]
            states.write_bytes(b"\n".join(map(orjson.dumps, rows)))
            manage(environment, "write_regimes", str(states))
            eventually(lambda: httpx.get(f"{web}/readyz").status_code == 200, STARTS_WITHIN_SECONDS)
            port = replicated.owner("signals:live")
            assert port is not None
            replicated.kill(port)
            eventually(lambda: replicated.owner("signals:live") not in {None, port})
            signals.write_bytes(b"\n".join(orjson.dumps(fields(number)) for number in range(20)))
            assert manage(environment, "publish_signals", str(signals)) == "published=20 bad=0\n"
            eventually(lambda: ": 0 pending (oldest none), 0 not delivered" in manage(environment, "signal_lag"), 15)
            for symbol in symbols:
                url = f"{web}/api/intelligence/regime/{symbol}"
                eventually(lambda url=url: httpx.get(url, timeout=30).status_code == 200, BACK_WITHIN_SECONDS)
            assert [process.poll() for process in processes] == [None] * len(LOOPS)
        replicated.start(port)
        replicated.wait_until_whole(1)


def test_a_walk_sees_every_state_or_says_that_it_is_incomplete(folder: Path) -> None:
    """The client was there before: its slot map is that of the start."""
    cluster = Cluster(folder, replicas=1)
    try:
        settings = cache_settings({"REDIS_URL": cluster.url}, folder)
        client = RoleConnectionFactory(settings["regime"]["OPTIONS"]).connect(cluster.url)
        for number in range(STATES):
            client.hset(f"argus:regime:W{number}", mapping={"computed_at": time.time(), "bull:1mo": "0.5"})
        scan, refresher = StateScan(client), refresher_of(client)

        def seen() -> int:
            return len({symbol for batch in scan.batches() for symbol in batch.symbols})

        assert seen() == STATES
        for key in ("argus:regime:W0", "argus:regime:W1", "avo:{regime}:pointer"):
            cluster.fail_over(key)
            assert seen() == STATES
            assert refresher.step().symbols == STATES
            assert backfilled(client) == STATES
        end = cluster.begin_move("argus:regime:W0", cluster.another_primary("argus:regime:W0"))
        for walk in (seen, refresher.step, lambda: backfilled(client)):
            with pytest.raises(IncompleteScanError, match="incomplete: slots of the cluster have no"):
                walk()
        assert CollectionStore(client, RegimeConf.load()).pointer().incomplete_walks == 1
        end()
        assert (seen(), backfilled(client)) == (STATES, STATES)
        walk = scan.batches()
        next(walk)
        end = cluster.begin_move("argus:regime:W1", cluster.another_primary("argus:regime:W1"))
        end()
        with pytest.raises(IncompleteScanError, match="incomplete:"):
            list(walk)
        assert refresher.step().symbols == STATES
        assert CollectionStore(client, RegimeConf.load()).pointer().incomplete_walks == 0
    finally:
        cluster.end()


def refresher_of(client: Any) -> Refresher:
    conf = RegimeConf.load()
    build = CollectionBuild(StateScan(client), StateCache(client, conf))
    return Refresher(CollectionStore(client, conf), build, conf, time.time)


def backfilled(client: Any) -> int:
    return sum(count for count, _ in TtlSetter(client, dry_run=True, assumed_age_seconds=None).batches(50))


def test_no_call_fails_while_its_slot_moves_to_a_new_node(folder: Path) -> None:
    """An unknown node is named by ASK first, which is followed, and by MOVED in the end."""
    cluster = Cluster(folder, replicas=0)
    try:
        by_name = calls(cluster.url, folder)
        for _, call in by_name.values():
            call()
        new = cluster.add_node()
        for key in dict.fromkeys(key for key, _ in by_name.values()):
            affected = [name for name, (one, _) in by_name.items() if one == key]
            end = cluster.begin_move(key, new) if cluster.owner(key) != new else None
            for name in affected:
                call_while_moving(name, by_name[name][1])
            if end is not None:
                end()
            for name in affected:
                by_name[name][1]()
    finally:
        cluster.end()
