"""The circuit breaker of one Redis server for one role, which logs its changes and sends signals for the metrics."""

import logging
import threading
import time
from collections.abc import Callable

from django.dispatch import Signal
from redis.exceptions import MaxConnectionsError

from avo_project.lib.circuit_breaker import CircuitBreaker

logger = logging.getLogger(__name__)

state_changed = Signal()  # of a circuit: ``role``, ``is_open``
call_rejected = Signal()  # ``role``, ``reason``: "circuit-open" or "pool-exhausted"


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
            call_rejected.send(Circuit, role=self._role, reason="circuit-open")
            raise CircuitOpenError(f"The circuit of the Redis of the role {self._role} is open: {self._failure}")
        return True

    def failed(self, failure: Exception) -> None:
        """Records a timeout or a failed connection."""
        self._failure = str(failure) or type(failure).__name__
        if self.breaker.trip(self._monotonic()):
            state_changed.send(Circuit, role=self._role, is_open=True)
            logger.error("the Redis of the role %s does not answer, its circuit opens: %s", self._role, failure)

    def answered(self) -> None:
        if self.breaker.reset():
            state_changed.send(Circuit, role=self._role, is_open=False)
            logger.warning("the Redis of the role %s answers again, its circuit closes", self._role)


_circuits: dict[tuple[str, str], Circuit] = {}
_lock = threading.Lock()


def circuit_of(role: str, server: str, probe_seconds: float) -> Circuit:
    """The circuit of a role and server; a cluster client gets the same one after it has reloaded its slots."""
    with _lock:
        if (role, server) not in _circuits:
            _circuits[role, server] = Circuit(role, CircuitBreaker(probe_seconds=probe_seconds))
        return _circuits[role, server]
