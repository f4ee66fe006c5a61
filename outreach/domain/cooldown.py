"""A circuit breaker for each inbox: one that fails again and again rests for a while, and longer each time."""

from dataclasses import dataclass, field

from avo_project.lib.backoff import exponential_seconds


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
        return exponential_seconds(row - self.failures + 1, self.base_seconds, self.cap_seconds)
