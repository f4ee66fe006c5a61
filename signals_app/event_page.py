"""Pages of events, newest first, filtered while they are read, with a bound on how much one page may read."""

from dataclasses import dataclass
from typing import Any

from signals_app.entry import Entry
from signals_app.event import BadEventError, Event, parse_entry
from signals_app.stream import SignalStream

_CHUNK = 500
_MOST_READ = 10_000


@dataclass(frozen=True, slots=True)
class EventQuery:
    """What to look for; None or an empty text means any. ``before`` is an entry id, itself left out."""

    limit: int = 50
    symbol: str = ""
    direction: str = ""
    min_confidence: float = 0.0
    before: str = ""

    def wants(self, event: Event) -> bool:
        return (
            (not self.symbol or event.symbol == self.symbol)
            and (not self.direction or event.direction == self.direction)
            and event.confidence >= self.min_confidence
        )


@dataclass(frozen=True, slots=True)
class EventPage:
    """``next_before`` leads to older events; None when there are none left in the stream."""

    events: list[tuple[str, Event]]
    next_before: str | None


def read_page(stream: SignalStream, query: EventQuery) -> EventPage:
    """Entries that are no events are left out. A page reads 10,000 entries at most, so it may hold fewer than its
    limit, even none, and still have a next one."""
    found: list[tuple[str, Event]] = []
    before, read = query.before, 0
    while read < _MOST_READ:
        entries = stream.newest_first(before=before or None, count=_CHUNK)
        for entry in entries:
            event = _event(entry)
            if event is not None and query.wants(event):
                found.append((entry.entry_id, event))
            if len(found) == query.limit:
                return EventPage(found, entry.entry_id)
        if len(entries) < _CHUNK:
            return EventPage(found, None)
        before, read = entries[-1].entry_id, read + len(entries)
    return EventPage(found, before)


def as_json(entry_id: str, event: Event) -> dict[str, Any]:
    """One event as the API shows it; unknown fields are under ``extra``."""
    return {
        "id": entry_id,
        "signal_id": event.signal_id,
        "symbol": event.symbol,
        "direction": event.direction,
        "confidence": event.confidence,
        "published_at": event.published_at_ms,
        "extra": dict(event.extra),
    }


def _event(entry: Entry) -> Event | None:
    try:
        return parse_entry(entry.fields)
    except BadEventError:
        return None
