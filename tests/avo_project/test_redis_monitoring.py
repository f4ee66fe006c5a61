"""INFO figures of the Redis servers, also of one that does not answer."""

from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from avo_project.redis_client import metrics
from avo_project.redis_client.metrics import live_metrics
from avo_project.redis_client.monitoring import ServerFacts, facts_of, summed


@pytest.mark.real_server
def test_a_server_tells_its_memory_and_policy(redis_of: Any) -> None:
    facts = facts_of("signals")
    assert facts.used_bytes > 100_000
    assert facts.policies == {"noeviction"}
    assert facts.last_writes_worked


def test_the_primaries_of_a_cluster_are_taken_together() -> None:
    facts = summed(
        [
            {"used_memory": 10, "maxmemory": 100, "maxmemory_policy": "noeviction", "aof_enabled": 1},
            {"used_memory": 20, "maxmemory": 100, "maxmemory_policy": "allkeys-lru", "evicted_keys": 3},
        ]
    )
    assert (facts.used_bytes, facts.maxmemory_bytes, facts.evicted_keys) == (30, 200, 3)
    assert facts.policies == {"noeviction", "allkeys-lru"}
    assert not facts.appends_everything


@pytest.mark.parametrize("name", ["aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status"])
def test_a_failed_write_to_disk_shows(name: str) -> None:
    assert not summed([{name: "err"}]).last_writes_worked
    assert summed([{name: "ok"}]).last_writes_worked


def test_a_server_that_is_down_is_shown_as_down_beside_the_others(
    redis_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def facts(alias: str) -> ServerFacts:
        if alias == "signals":
            raise RedisConnectionError("gone")
        return summed([{"used_memory": 1}])

    monkeypatch.setattr(metrics, "facts_of", facts)
    up, used, *_ = live_metrics()
    values = {sample.labels["role"]: sample.value for sample in up.samples}
    assert values == {"default": 1, "regime": 1, "signals": 0, "outreach": 1, "throttling": 1}
    assert "signals" not in {sample.labels["role"] for sample in used.samples}
