"""The daily sending window of an inbox, in its local time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class SendingWindow:
    """Open from ``opens`` until ``closes`` (exclusive), local time of ``zone``; may cross midnight.

    Local time decides, so a window is an hour shorter or longer on days when the clock changes.
    """

    opens: time
    closes: time
    zone: ZoneInfo

    def is_open(self, now: float) -> bool:
        """Whether the local time at ``now`` (Unix seconds) is inside the window."""
        wall = datetime.fromtimestamp(now, self.zone).time()
        if self.opens < self.closes:
            return self.opens <= wall < self.closes
        return wall >= self.opens or wall < self.closes

    def next_open(self, now: float) -> float:
        """``now`` when open, else when the window next opens (Unix seconds)."""
        if self.is_open(now):
            return now
        return min(at for at in self._moments(now, self.opens) if at > now and self.is_open(at))

    def open_span(self, now: float) -> tuple[float, float]:
        """Start and end (Unix seconds) of the current window, or else of the next."""
        start = self.next_open(now)
        return start, min(at for at in self._moments(start, self.closes) if at > start)

    def _moments(self, now: float, wall: time) -> Iterator[float]:
        """When the local time is ``wall`` on the days around ``now``; twice on a day when the clock is set back."""
        today = datetime.fromtimestamp(now, self.zone).date()
        for offset in range(-1, 4):
            yield from self._on_day(today + timedelta(days=offset), wall)

    def _on_day(self, day: date, wall: time) -> Iterator[float]:
        for fold in (0, 1):
            local = datetime.combine(day, wall, self.zone).replace(fold=fold)
            yield local.astimezone(UTC).timestamp()
