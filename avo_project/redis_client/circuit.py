"""The circuit breaker of one Redis server as one role uses it: what it refuses, counts and logs."""

import logging
import threading
import time
from collections.abc import Callable

from prometheus_client import Counter, Gauge
from redis.exceptions import MaxConnectionsError

from avo_project.lib.circuit_breaker import CircuitBreaker

logger = logging.getLogger(__name__)

OPEN = Gauge(
    "avo_redis_circuit_open",
    "Circuit breakers of Redis servers that are open, over all processes",
    ["role"],
    multiprocess_mode="livesum",
)
OPENED = Counter("avo_redis_circuit_opened", "Times a circuit breaker of a Redis server opened", ["role"])
REJECTED = Counter(
    "avo_redis_calls_rejected", "Calls that were refused before anything was sent to Redis", ["role", "reason"]
)


REJECTIONS = ("circuit-open", "pool-exhausted")


def count_from_zero(role: str) -> None:
    """Shows the counters of a role before their first event, which a rate would miss otherwise."""
    OPEN.labels(role)
    OPENED.labels(role)
    for reason in REJECTIONS:
        REJECTED.labels(role, reason)


class CallRejectedError(MaxConnectionsError):
    """Nothing was sent. To a cluster's client this class is no fault of the node, after which it would read the map."""


class CircuitOpenError(CallRejectedError):
    """The server did not answer a moment ago, so it is not asked."""


class Circuit:
    """One for each role and server, shared by all its connections. ``monotonic`` gives seconds."""

    def __init__(self, role: str, breaker: CircuitBreaker, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.breaker = breaker
        self._role, self._monotonic = role, monotonic
        self._failure = ""

    def admit(self) -> bool:
        """Whether the caller is the probe. Raises CircuitOpenError when it may not call."""
        if not self.breaker.is_open:
            return False
        if not self.breaker.allows(self._monotonic()):
            REJECTED.labels(self._role, "circuit-open").inc()
            raise CircuitOpenError(f"The Redis of the role {self._role} is not asked for now: {self._failure}")
        return True

    def failed(self, failure: Exception) -> None:
        """No answer came in time, or no connection."""
        self._failure = str(failure) or type(failure).__name__
        if self.breaker.trip(self._monotonic()):
            OPEN.labels(self._role).inc()
            OPENED.labels(self._role).inc()
            logger.error("the Redis of the role %s does not answer, its circuit opens: %s", self._role, failure)

    def answered(self) -> None:
        if self.breaker.reset():
            OPEN.labels(self._role).dec()
            logger.warning("the Redis of the role %s answers again, its circuit closes", self._role)


_circuits: dict[tuple[str, str], Circuit] = {}
_lock = threading.Lock()


def circuit_of(role: str, server: str, probe_seconds: float) -> Circuit:
    """The same one whenever a role's client comes back to a server, as a cluster's does after a look at its map."""
    with _lock:
        if (role, server) not in _circuits:
            _circuits[role, server] = Circuit(role, CircuitBreaker(probe_seconds=probe_seconds))
        return _circuits[role, server]
