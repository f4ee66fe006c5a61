"""Keeps requests away from a Redis that does not answer, and lets one through now and then to see."""


class Breaker:
    """Open for ``pause_seconds`` after a failure; then one caller may try, while the others keep away."""

    def __init__(self, pause_seconds: float = 1.0) -> None:
        self._pause_seconds = pause_seconds
        self._open_until: float | None = None

    def allows(self, now: float) -> bool:
        """Whether the caller may try at ``now`` (monotonic seconds)."""
        if self._open_until is None:
            return True
        if now < self._open_until:
            return False
        self._open_until = now + self._pause_seconds
        return True

    def trip(self, now: float) -> bool:
        """Notes a failure; whether it is the first one."""
        first, self._open_until = self._open_until is None, now + self._pause_seconds
        return first

    def mend(self) -> bool:
        """Notes an answer; whether there was none before."""
        if self._open_until is None:
            return False
        self._open_until = None
        return True
