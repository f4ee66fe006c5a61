"""Plans the next reservation: which lanes to name, how many touches of each, and when none is needed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_SPARE = 8  # another worker may have emptied a lane, or used its capacity


@dataclass(frozen=True, slots=True)
class ReservationPlan:
    """One call of ``Lanes.reserve``: the inboxes it names, and the maximum number of touches per lane."""

    inbox_ids: tuple[int, ...]
    max_per_lane: int


def next_plan(due: Sequence[int], wanted: int, max_per_lane: int = 1) -> ReservationPlan:
    """Names few more of the ``due`` lanes than ``wanted`` touches need, because an unused lane costs nearly as much as
    a used one. With few lanes, more touches are taken of each."""
    named = tuple(due[: lanes_for(wanted, max_per_lane)])
    return ReservationPlan(named, max(max_per_lane, -(-wanted // max(1, len(named)))))


def lanes_for(wanted: int, max_per_lane: int = 1) -> int:
    """How many lanes to name for ``wanted`` touches."""
    return _SPARE - (-wanted // max_per_lane)


_LONGEST_SECONDS = 10.0
"""A hint is valid no longer than this: data loss or an expired lease may have gone unnoticed."""


@dataclass(frozen=True, slots=True)
class IdleHint:
    """The state of the queue at ``since`` (Unix seconds by the worker's clock), for a worker with nothing to send.

    ``first`` is the first lane as (inbox id, due in server ms), due in ``next_seconds``; ``lease_seconds`` is the time
    until the first lease of any worker expires. Each is None when there is none.
    """

    since: float
    first: tuple[int, int] | None
    next_seconds: float | None
    lease_seconds: float | None

    def holds(self, now: float, first: tuple[int, int] | None) -> bool:
        """Whether the hint is valid at ``now``, when ``first`` is the first lane; False if the clock went backwards."""
        ends = [seconds for seconds in (self.next_seconds, self.lease_seconds) if seconds is not None]
        return first == self.first and 0 <= now - self.since < min([_LONGEST_SECONDS, *ends])

    def seconds_left(self, now: float) -> float | None:
        """Seconds until the first lane is due."""
        return None if self.next_seconds is None else self.next_seconds - (now - self.since)


_AT_ONCE = 250
_A_SECOND = 1.0


class SweepBacklog:
    """A FIFO backlog of inboxes to compare: up to ``at_once`` immediately, then ``a_second`` per second."""

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
        """The inboxes to compare at ``now`` (Unix seconds); the others stay in order."""
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
