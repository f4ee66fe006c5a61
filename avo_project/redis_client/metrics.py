"""Counters of the circuit breakers of this process, and gauges of the Redis servers, read at each scrape."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.dispatch import receiver
from prometheus_client import Counter, Gauge, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from redis.exceptions import RedisError

from avo_project.redis_client.circuit import call_rejected, state_changed
from avo_project.redis_client.monitoring import ROLE_PINGER, ServerFacts, facts_of
from avo_project.redis_client.roles import ROLES

OPEN = Gauge(
    "avo_redis_circuit_open",
    "Circuit breakers of Redis servers that are open, over all processes",
    ["role"],
    multiprocess_mode="livesum",
)
OPENED = Counter("avo_redis_circuit_opened", "Times a circuit breaker of a Redis server opened", ["role"])
REJECTED = Counter("avo_redis_calls_rejected", "Calls rejected before anything was sent to Redis", ["role", "reason"])

for _role in ROLES:  # exported as 0, so that a rate includes the first event
    OPEN.labels(_role.alias)
    OPENED.labels(_role.alias)
    for _reason in ("circuit-open", "pool-exhausted"):
        REJECTED.labels(_role.alias, _reason)


@receiver(state_changed)
def _count_change(role: str, is_open: bool, **signal: Any) -> None:
    OPEN.labels(role).inc(1 if is_open else -1)
    OPENED.labels(role).inc(is_open)


@receiver(call_rejected)
def _count_rejection(role: str, reason: str, **signal: Any) -> None:
    REJECTED.labels(role, reason).inc()


def live_metrics() -> Iterator[Metric]:
    """Gauges of every role's server; a server that is down has ``avo_redis_up`` 0 and no others."""
    up = GaugeMetricFamily("avo_redis_up", "Whether the role's Redis answers", labels=["role"])
    used = GaugeMetricFamily("avo_redis_memory_used_bytes", "Memory that the role's Redis uses", labels=["role"])
    limit = GaugeMetricFamily("avo_redis_memory_max_bytes", "Its maxmemory; 0 means no limit", labels=["role"])
    evicted = CounterMetricFamily("avo_redis_evicted_keys", "Keys it evicted since it started", labels=["role"])
    writes = GaugeMetricFamily("avo_redis_persistence_ok", "0 when its last write to disk failed", labels=["role"])
    failures = ROLE_PINGER.failures([role.alias for role in ROLES], settings.HEALTH["PING_SECONDS"])
    for role in [role.alias for role in ROLES]:
        facts = None if failures[role] else _facts_if_up(role)
        up.add_metric([role], facts is not None)
        if facts is None:
            continue
        used.add_metric([role], facts.used_bytes)
        limit.add_metric([role], facts.maxmemory_bytes)
        evicted.add_metric([role], facts.evicted_keys)
        writes.add_metric([role], facts.last_writes_worked)
    yield from (up, used, limit, evicted, writes)


def _facts_if_up(alias: str) -> ServerFacts | None:
    try:
        return facts_of(alias)
    except RedisError:
        return None
