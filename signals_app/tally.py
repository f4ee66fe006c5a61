"""What one consumer did, counted for its summary line and for /metrics."""

from dataclasses import dataclass

from prometheus_client import Counter

_EVENTS = Counter("avo_signals_events", "Events finished by consumers of this process", ["outcome"])


@dataclass(slots=True)
class Tally:
    """``consumed`` entries are finished: ``executed``, ``duplicates`` or ``dead``. ``reclaimed`` ones came from an
    earlier life of this consumer or from a dead one."""

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
        for outcome, number in (("executed", executed), ("duplicate", duplicates), ("dead", dead)):
            if number:
                _EVENTS.labels(outcome).inc(number)

    def __str__(self) -> str:
        return (
            f"consumed={self.consumed} executed={self.executed} duplicates={self.duplicates} "
            f"dead={self.dead} reclaimed={self.reclaimed}"
        )
