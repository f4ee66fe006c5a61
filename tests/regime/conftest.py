from typing import Any

import pytest

from regime.collection_build import CollectionBuild
from regime.collection_store import CollectionStore
from regime.conf import RegimeConf
from regime.cycle import Cycle
from regime.state_cache import StateCache
from regime.state_scan import StateScan


@pytest.fixture
def client(redis_of: Any) -> Any:
    return redis_of("regime")


@pytest.fixture
def server_now(client: Any) -> float:
    seconds, microseconds = client.time()
    return float(seconds) + microseconds / 1e6


@pytest.fixture
def states(client: Any) -> StateCache:
    return StateCache(client, RegimeConf(write_batch=3, write_calls_in_flight=2))


@pytest.fixture
def store(client: Any) -> CollectionStore:
    return CollectionStore(client, RegimeConf())


@pytest.fixture
def build(client: Any, states: StateCache) -> CollectionBuild:
    return CollectionBuild(StateScan(client), states)


@pytest.fixture
def cycle(states: StateCache, store: CollectionStore, build: CollectionBuild, server_now: float) -> Cycle:
    return Cycle(states, store, build, lambda: server_now)
