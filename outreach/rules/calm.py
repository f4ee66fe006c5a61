"""While nothing moves in the queue, a worker need not ask for work: it knows what it would hear."""

from dataclasses import dataclass

_LONGEST_SECONDS = 10.0
"""After that long it asks whatever it knows: a lost queue or a lease may have gone unseen."""


@dataclass(frozen=True, slots=True)
class Calm:
    """What the last look found at ``since`` (Unix seconds by the worker's clock).

    ``first`` is the first lane to come as (inbox id, server ms), worth a look in ``next_seconds``; ``lease_seconds`` is
    how long the first lease of anybody still runs. None each: there is none.
    """

    since: float
    first: tuple[int, int] | None
    next_seconds: float | None
    lease_seconds: float | None

    def holds(self, now: float, first: tuple[int, int] | None) -> bool:
        """Whether it is still so at ``now``, with ``first`` the first lane by now; never after the clock went back."""
        ends = [seconds for seconds in (self.next_seconds, self.lease_seconds) if seconds is not None]
        return first == self.first and 0 <= now - self.since < min([_LONGEST_SECONDS, *ends])

    def seconds_left(self, now: float) -> float | None:
        """In how many seconds the first lane is worth a look."""
        return None if self.next_seconds is None else self.next_seconds - (now - self.since)
