"""Pages of events, newest first, filtered while they are read, with a bound on how much one page may read."""

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
    """What to look for; None or an empty text means any. ``symbol`` is in upper case and found in any;
    ``before`` is an entry id, itself left out; ``max_read`` is how many entries a page may read."""

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
    """``next_before`` leads to older events; None when there are none left in the stream. ``read`` says how many
    entries were looked at for it.
    """

    events: list[tuple[str, Event]]
    next_before: str | None
    read: int


def read_page(stream: SignalStream, query: EventQuery) -> EventPage:
    """Entries that are no events are left out. A page reads so many at most, so it may hold fewer than its limit, even
    none, and still have a next one."""
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
    """The page of events whose entry id, signal id or symbol is ``text``; of all when it is empty."""
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
