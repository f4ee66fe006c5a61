"""An entry of the stream as the live feed sends it: decoded and rendered once, for every client of the process."""

from collections.abc import Iterable
from typing import NamedTuple

from avo_project.json_bytes import dump_json
from signals_app.roles.event_page import as_json
from signals_app.rules.entry import Entry
from signals_app.rules.entry_id import order
from signals_app.rules.event import BadEventError, Event, parse_entry


class FeedEntry(NamedTuple):
    """``event`` is None and ``message`` empty for an entry that is no event."""

    entry_id: str
    order: tuple[int, int]
    event: Event | None
    message: bytes


def rendered(entries: Iterable[Entry]) -> list[FeedEntry]:
    return [_rendered(entry) for entry in entries]


def _rendered(entry: Entry) -> FeedEntry:
    entry_order = order(entry.entry_id)
    try:
        event = parse_entry(entry.fields)
    except BadEventError:
        return FeedEntry(entry.entry_id, entry_order, None, b"")
    message = sse_message("signal", as_json(entry.entry_id, event), entry.entry_id)
    return FeedEntry(entry.entry_id, entry_order, event, message)


def sse_message(kind: str, data: object, entry_id: str = "") -> bytes:
    """One Server-Sent Event (WHATWG HTML, section 9.2)."""
    head = f"id: {entry_id}\n" if entry_id else ""
    return f"{head}event: {kind}\n".encode() + b"data: " + dump_json(data) + b"\n\n"
