"""How many inboxes a worker compares with the ledger, so that arrivals at thousands of them cost it little."""

from collections.abc import Iterable

_AT_ONCE = 250
_A_SECOND = 1.0


class SweepBacklog:
    """Inboxes that are to be compared, first come first: ``at_once`` of them, then ``a_second``."""

    def __init__(self, at_once: int = _AT_ONCE, a_second: float = _A_SECOND) -> None:
        self._at_once = at_once
        self._a_second = a_second
        self._allowed = float(at_once)
        self._counted_at: float | None = None
        self._waiting: dict[int, None] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, inbox_ids: Iterable[int]) -> None:
        self._waiting |= dict.fromkeys(inbox_ids)

    def take(self, now: float) -> list[int]:
        """Those to be compared at ``now`` (Unix seconds); the others keep their places."""
        passed = 0.0 if self._counted_at is None else max(0.0, now - self._counted_at)
        self._counted_at = now
        self._allowed = min(self._at_once, self._allowed + passed * self._a_second)
        taken = list(self._waiting)[: int(self._allowed)]
        self._allowed -= len(taken)
        self.remove(taken)
        return taken

    def remove(self, inbox_ids: Iterable[int]) -> None:
        for inbox_id in inbox_ids:
            self._waiting.pop(inbox_id, None)

    def clear(self) -> None:
        self._waiting.clear()
