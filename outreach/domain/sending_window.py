"""The hours of the day in which an inbox sends, by the clock on its own wall."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class SendingWindow:
    """Open from ``opens`` up to, not including, ``closes``, local time of ``zone``; may run past midnight.

    The wall clock decides, so a day on which the clock jumps has an hour less or more and nothing opens early.
    """

    opens: time
    closes: time
    zone: ZoneInfo

    def is_open(self, now: float) -> bool:
        """Whether the wall clock at ``now`` (Unix seconds) reads a time inside the window."""
        wall = datetime.fromtimestamp(now, self.zone).time()
        if self.opens < self.closes:
            return self.opens <= wall < self.closes
        return wall >= self.opens or wall < self.closes

    def next_open(self, now: float) -> float:
        """``now`` when open, else the next moment (Unix seconds) at which the window opens."""
        if self.is_open(now):
            return now
        return min(at for at in self._moments(now, self.opens) if at > now and self.is_open(at))

    def open_span(self, now: float) -> tuple[float, float]:
        """From when to when (Unix seconds) the current window, or else the next, is open."""
        start = self.next_open(now)
        return start, min(at for at in self._moments(start, self.closes) if at > start)

    def _moments(self, now: float, wall: time) -> Iterator[float]:
        """When the wall clock shows ``wall`` on the days around ``now``; twice on the day the clock is set back."""
        today = datetime.fromtimestamp(now, self.zone).date()
        for offset in range(-1, 4):
            yield from self._on_day(today + timedelta(days=offset), wall)

    def _on_day(self, day: date, wall: time) -> Iterator[float]:
        for fold in (0, 1):
            local = datetime.combine(day, wall, self.zone).replace(fold=fold)
            yield local.astimezone(UTC).timestamp()
