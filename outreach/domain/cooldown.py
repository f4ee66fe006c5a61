"""A circuit breaker for each inbox: one that fails again and again rests for a while, and longer each time."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class InboxCooldown:
    """After ``failures`` in a row an inbox rests ``base_seconds``, twice as long each time, at most ``cap_seconds``.

    Each worker counts for itself; the rest it orders holds for all.
    """

    failures: int
    base_seconds: float
    cap_seconds: float
    _consecutive: dict[int, int] = field(default_factory=dict)

    def cooldown_seconds(self, inbox_id: int, *, failed: bool) -> float | None:
        """Takes one result in; how long the inbox shall rest now, None: not at all."""
        if not failed:
            self._consecutive.pop(inbox_id, None)
            return None
        row = self._consecutive[inbox_id] = self._consecutive.get(inbox_id, 0) + 1
        if row < self.failures:
            return None
        return min(self.cap_seconds, self.base_seconds * 2.0 ** min(row - self.failures, 30))
