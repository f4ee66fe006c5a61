"""One client of the live feed, as Server-Sent Events (WHATWG HTML, section 9.2)."""

import asyncio
from collections.abc import AsyncIterator, Callable

from asgiref.sync import sync_to_async

from avo_project.json_bytes import dump_json
from signals_app.roles.event_page import EventQuery, as_json
from signals_app.roles.live_feed import LiveFeed, Subscription
from signals_app.rules.entry import Entry
from signals_app.rules.entry_id import order
from signals_app.rules.event import BadEventError, parse_entry
from signals_app.store.stream import SignalStream

HEARTBEAT_SECONDS = 15.0
_PAGE = 500


class EventSource:
    """Sends the events after ``last_id`` (empty: only new ones), then new ones as they come.

    A comment every 15 s keeps proxies from closing the connection. A client that is too slow is told so in an event
    ``dropped`` and can come back with its Last-Event-ID; an id older than the stream is answered with ``gap`` first.
    """

    def __init__(
        self,
        feed: LiveFeed,
        query: EventQuery,
        last_id: str,
        *,
        connect: Callable[[], SignalStream] = SignalStream.connect,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._feed = feed
        self._query = query
        self._last_id = last_id
        self._connect = connect
        self._heartbeat_seconds = heartbeat_seconds

    async def messages(self) -> AsyncIterator[bytes]:
        """Ends when the client was too slow."""
        subscription = Subscription(asyncio.get_running_loop())
        try:
            yield b": connected\n\n"
            if self._last_id and await sync_to_async(self._connect().was_cut_after)(self._last_id):
                yield _message("gap", {"after": self._last_id, "why": "older entries were trimmed"})
            async for message in self._backlog():
                yield message
            await sync_to_async(self._feed.subscribe)(subscription)
            async for message in self._backlog():  # what came in before the subscription
                yield message
            async for message in self._live(subscription):
                yield message
        finally:
            self._feed.unsubscribe(subscription)
            self._feed.dismiss(self)

    async def _backlog(self) -> AsyncIterator[bytes]:
        while self._last_id:
            entries = await sync_to_async(self._connect().between)(f"({self._last_id}", "+", _PAGE)
            for entry in entries:
                if message := self._sent(entry):
                    yield message
            if len(entries) < _PAGE:
                return

    async def _live(self, subscription: Subscription) -> AsyncIterator[bytes]:
        while True:
            entry = await subscription.next(self._heartbeat_seconds)
            if entry is not None:
                if message := self._sent(entry):
                    yield message
            elif subscription.has_overflowed:
                yield _message("dropped", {"last": self._last_id, "why": "this client reads too slowly"})
                return
            else:
                yield b": heartbeat\n\n"

    def _sent(self, entry: Entry) -> bytes:
        if self._last_id and order(entry.entry_id) <= order(self._last_id):
            return b""
        self._last_id = entry.entry_id
        try:
            event = parse_entry(entry.fields)
        except BadEventError:
            return b""
        if not self._query.wants(event):
            return b""
        return _message("signal", as_json(entry.entry_id, event), entry.entry_id)


def _message(kind: str, data: object, entry_id: str = "") -> bytes:
    head = f"id: {entry_id}\n" if entry_id else ""
    return f"{head}event: {kind}\n".encode() + b"data: " + dump_json(data) + b"\n\n"
