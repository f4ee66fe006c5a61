"""The circuit breaker of one Redis server for one role: rejections, metrics and logs."""

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
REJECTED = Counter("avo_redis_calls_rejected", "Calls rejected before anything was sent to Redis", ["role", "reason"])


REJECTIONS = ("circuit-open", "pool-exhausted")


def count_from_zero(role: str) -> None:
    """Initialises the counters of a role, so that a rate includes their first event."""
    OPEN.labels(role)
    OPENED.labels(role)
    for reason in REJECTIONS:
        REJECTED.labels(role, reason)


class CallRejectedError(MaxConnectionsError):
    """The call was rejected and nothing was sent. A cluster client does not reload its slots after this class."""


class CircuitOpenError(CallRejectedError):
    """The circuit is open: the server has recently not answered."""


class Circuit:
    """The circuit of one role and server, shared by all connections. ``monotonic`` returns seconds."""

    def __init__(self, role: str, breaker: CircuitBreaker, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.breaker = breaker
        self._role, self._monotonic = role, monotonic
        self._failure = ""

    def admit(self) -> bool:
        """Returns whether the call is the probe. Raises CircuitOpenError while the circuit rejects calls."""
        if not self.breaker.is_open:
            return False
        if not self.breaker.allows(self._monotonic()):
            REJECTED.labels(self._role, "circuit-open").inc()
            raise CircuitOpenError(f"The circuit of the Redis of the role {self._role} is open: {self._failure}")
        return True

    def failed(self, failure: Exception) -> None:
        """Records a timeout or a failed connection."""
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
    """The circuit of a role and server; a cluster client gets the same one after it has reloaded its slots."""
    with _lock:
        if (role, server) not in _circuits:
            _circuits[role, server] = Circuit(role, CircuitBreaker(probe_seconds=probe_seconds))
        return _circuits[role, server]
