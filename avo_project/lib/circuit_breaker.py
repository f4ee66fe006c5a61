"""Keeps callers away from a server that does not answer, and lets one through now and then to see."""

import threading


class CircuitBreaker:
    """Closed, everybody may call. Open, nobody may for ``reset_seconds`` after a failure; then one caller at a time
    probes, and a probe that says nothing within ``probe_seconds`` gives way to the next. Any thread may call.

    ``is_open`` is a plain attribute, so that a hot path pays for one look while all is well.
    """

    def __init__(self, reset_seconds: float = 1.0, probe_seconds: float = 1.0) -> None:
        self.is_open = False
        self._reset_seconds, self._probe_seconds = reset_seconds, probe_seconds
        self._closed_to_all_until = 0.0
        self._lock = threading.Lock()

    def allows(self, now: float) -> bool:
        """Whether the caller may try at ``now`` (monotonic seconds). While open, a True makes it the probe."""
        if not self.is_open:
            return True
        with self._lock:
            if self.is_open and now < self._closed_to_all_until:
                return False
            self._closed_to_all_until = now + self._probe_seconds
            return True

    def trip(self, now: float) -> bool:
        """Records a failure; whether it opened the circuit."""
        with self._lock:
            opened, self.is_open = not self.is_open, True
            self._closed_to_all_until = now + self._reset_seconds
            return opened

    def reset(self) -> bool:
        """Records an answer; whether it closed the circuit."""
        if not self.is_open:
            return False
        with self._lock:
            closed, self.is_open = self.is_open, False
            return closed
