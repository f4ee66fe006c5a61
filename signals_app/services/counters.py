"""Counters of a consumer, for its summary line and for /metrics."""

from dataclasses import dataclass

from prometheus_client import Counter

_EVENTS = Counter("avo_signals_events", "Events finished by consumers of this process", ["outcome"])
_COUNTERS = [_EVENTS.labels(outcome) for outcome in ("executed", "duplicate", "dead")]


@dataclass(slots=True)
class Counters:
    """``consumed`` entries are finished: ``executed``, ``duplicates`` or ``dead``. ``reclaimed`` entries were pending
    before: for an earlier process of this name, for an expired consumer, or assigned by another client."""

    executed: int = 0
    duplicates: int = 0
    dead: int = 0
    reclaimed: int = 0

    @property
    def consumed(self) -> int:
        return self.executed + self.duplicates + self.dead

    def count(self, *, executed: int = 0, duplicates: int = 0, dead: int = 0) -> None:
        self.executed += executed
        self.duplicates += duplicates
        self.dead += dead
        for counter, number in zip(_COUNTERS, (executed, duplicates, dead), strict=True):
            if number:
                counter.inc(number)

    def __str__(self) -> str:
        return (
            f"consumed={self.consumed} executed={self.executed} duplicates={self.duplicates} "
            f"dead={self.dead} reclaimed={self.reclaimed}"
        )
