"""The daily sending window of an inbox, in its local time."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class SendingWindow:
    """Open from ``opens`` until ``closes`` (exclusive), local time of ``zone``; may cross midnight.

    Local time alone decides. On days when the clock changes, a window is therefore shorter or longer: what the clock
    skips is left out (02:30-03:30 opens at 03:00), and what it repeats is open twice.
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
        return self.open_span(now)[0]

    def open_span(self, now: float) -> tuple[float, float]:
        """Start (not before ``now``) and end (Unix seconds) of the current window, or else of the next."""
        start, end = next(span for span in _open_spans(self, int(now // _DAY)) if now < span[1])
        return max(now, start), end


@lru_cache(maxsize=4096)
def _open_spans(window: SendingWindow, utc_day: int) -> tuple[tuple[float, float], ...]:
    """The open spans from a day (counted from 1970) on, for long enough that one ends later. Cached, because many
    inboxes have the same window. It opens and closes at its times and when the clock changes, and at no other moment.
    """
    start = utc_day * _DAY
    today = datetime.fromtimestamp(start, window.zone).date()
    boundaries = {float(start)}
    for offset in range(-1, 5):
        boundaries.update(_moments(today + timedelta(days=offset), window.opens, window.zone))
        boundaries.update(_moments(today + timedelta(days=offset), window.closes, window.zone))
        boundaries.update(_clock_changes(utc_day + offset, window.zone))
    spans: list[tuple[float, float]] = []
    opened: float | None = None
    for at in sorted(at for at in boundaries if at >= start):
        is_open = window.is_open(at)
        if is_open and opened is None:
            opened = at
        elif opened is not None and not is_open:
            spans.append((opened, at))
            opened = None
    return tuple(spans)


def _moments(day: date, wall: time, zone: ZoneInfo) -> Iterator[float]:
    """When the local time is ``wall``: twice on a day when the clock is set back, another time when it is skipped."""
    for fold in (0, 1):
        yield datetime.combine(day, wall, zone).replace(fold=fold).astimezone(UTC).timestamp()


def _clock_changes(utc_day: int, zone: ZoneInfo) -> tuple[float, ...]:
    """When the zone's offset from UTC changes on a day (counted from 1970), in Unix seconds."""
    start, end = utc_day * _DAY, (utc_day + 1) * _DAY
    before = _offset(start, zone)
    if _offset(end, zone) == before:
        return ()
    return (float(bisect_left(range(end), True, start, end, key=lambda at: _offset(at, zone) != before)),)


def _offset(moment: float, zone: ZoneInfo) -> timedelta | None:
    return datetime.fromtimestamp(moment, zone).utcoffset()
