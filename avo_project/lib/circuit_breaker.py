"""A circuit breaker: rejects calls to a server that does not answer, except for one probe at a time."""

import threading


class CircuitBreaker:
    """Closed, it allows every call. Open, it rejects calls for ``reset_seconds`` after a failure, then allows one probe
    at a time, and the next one after ``probe_seconds`` without a result. Thread-safe.

    ``is_open`` is a plain attribute, so that a hot path reads one attribute while the circuit is closed.
    """

    def __init__(self, reset_seconds: float = 1.0, probe_seconds: float = 1.0) -> None:
        self.is_open = False
        self._reset_seconds, self._probe_seconds = reset_seconds, probe_seconds
        self._next_probe_at = 0.0
        self._lock = threading.Lock()

    def allows(self, now: float) -> bool:
        """Whether a call is allowed at ``now`` (monotonic seconds). While open, an allowed call is the probe."""
        if not self.is_open:
            return True
        with self._lock:
            if self.is_open and now < self._next_probe_at:
                return False
            self._next_probe_at = now + self._probe_seconds
            return True

    def trip(self, now: float) -> bool:
        """Records a failure; returns whether it opened the circuit."""
        with self._lock:
            opened, self.is_open = not self.is_open, True
            self._next_probe_at = now + self._reset_seconds
            return opened

    def reset(self) -> bool:
        """Records a success; returns whether it closed the circuit."""
        if not self.is_open:
            return False
        with self._lock:
            closed, self.is_open = self.is_open, False
            return closed
