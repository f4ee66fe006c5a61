from typing import Any

import pytest

from regime.conf import RegimeConf
from regime.services.cycle import Cycle
from regime.services.refresher import CollectionBuild
from regime.store.collection_store import CollectionStore
from regime.store.state_cache import StateCache, StateScan


def build_of(redis: Any, states: StateCache) -> CollectionBuild:
    return CollectionBuild(StateScan(redis), states)


@pytest.fixture
def redis(redis_of: Any) -> Any:
    return redis_of("regime")


@pytest.fixture
def server_now(redis: Any) -> float:
    seconds, microseconds = redis.time()
    return float(seconds) + microseconds / 1e6


@pytest.fixture
def states(redis: Any) -> StateCache:
    return StateCache(redis, RegimeConf(write_batch=3, write_calls_in_flight=2))


@pytest.fixture
def store(redis: Any) -> CollectionStore:
    return CollectionStore(redis, RegimeConf())


@pytest.fixture
def build(redis: Any, states: StateCache) -> CollectionBuild:
    return build_of(redis, states)


@pytest.fixture
def cycle(states: StateCache, store: CollectionStore, build: CollectionBuild, server_now: float) -> Cycle:
    return Cycle(states, store, build, lambda: server_now)
