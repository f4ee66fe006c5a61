"""Pages of events, newest first, filtered while reading, with a limit on the entries read per page."""

import re
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from signals_app.domain.entry import Entry
from signals_app.domain.event import BadEventError, Event, parse_entry
from signals_app.store.stream import SignalStream

_CHUNK = 500
_ENTRY_ID = re.compile(r"\d{1,19}-\d{1,19}", re.ASCII)


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Filters of a page; an empty text means any. ``symbol`` is upper case and matches any case; ``before`` is an
    exclusive entry id; ``max_read`` limits the entries read."""

    limit: int = 50
    signal_id: str = ""
    symbol: str = ""
    direction: str = ""
    min_confidence: float = 0.0
    before: str = ""
    max_read: int = 10_000

    def matches(self, event: Event) -> bool:
        return (
            (not self.symbol or event.symbol.upper() == self.symbol)
            and (not self.direction or event.direction == self.direction)
            and event.confidence >= self.min_confidence
            and (not self.signal_id or event.signal_id == self.signal_id)
        )


@dataclass(frozen=True, slots=True)
class EventPage:
    """``next_before`` is the cursor of the next page, None at the end of the stream; ``read`` is the number of entries
    read."""

    events: list[tuple[str, Event]]
    next_before: str | None
    read: int


def read_page(stream: SignalStream, query: EventQuery) -> EventPage:
    """Skips entries that are not valid events. A page may have fewer events than its limit, even none, and still have a
    next page, because it reads ``max_read`` entries at most."""
    found: list[tuple[str, Event]] = []
    before, read = query.before, 0
    while read < query.max_read:
        entries = stream.newest_first(before=before or None, count=_CHUNK)
        read += len(entries)
        for entry in entries:
            event = _event(entry)
            if event is not None and query.matches(event):
                found.append((entry.entry_id, event))
            if len(found) == query.limit:
                return EventPage(found, entry.entry_id, read)
        if len(entries) < _CHUNK:
            return EventPage(found, None, read)
        before = entries[-1].entry_id
    return EventPage(found, before, read)


def find(stream: SignalStream, text: str, query: EventQuery) -> EventPage:
    """The page of events with ``text`` as entry id, signal id or symbol; an empty text matches all."""
    if _ENTRY_ID.fullmatch(text):
        found = [(entry.entry_id, _event(entry)) for entry in stream.between(text, text, 1)]
        return EventPage([(entry_id, event) for entry_id, event in found if event is not None], None, len(found))
    if not text:
        return read_page(stream, query)
    try:
        return read_page(stream, replace(query, signal_id=str(UUID(text))))
    except ValueError:
        return read_page(stream, replace(query, symbol=text.upper()))


def as_json(entry_id: str, event: Event) -> dict[str, Any]:
    """The event as JSON of the API; unknown fields are in ``extra``."""
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
