"""One client of the live feed, as Server-Sent Events (WHATWG HTML, section 9.2)."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connections

from signals_app.roles.event_page import EventQuery
from signals_app.roles.feed_entry import FeedEntry, sse_message
from signals_app.roles.live_feed import LiveFeed, Subscription
from signals_app.rules.entry_id import order

HEARTBEAT_SECONDS = 15.0

_THREADS = ThreadPoolExecutor(max_workers=4, thread_name_prefix="feed")


class StreamEnd(Exception):  # noqa: N818 - an end is no error
    """Why a stream ends: the name of its last event, and a text for people."""

    def __init__(self, event: str, why: str) -> None:
        super().__init__(why)
        self.event = event


class EventSource:
    """Sends the events after ``last_id`` (empty: only new ones), then new ones as they come.

    A comment every 15 s keeps proxies from closing the connection. The last event of a stream says why it ends and has
    the id to resume from: ``reauthenticate`` when the credential has ended, ``dropped`` when the client was too slow.
    An id older than the stream is answered with ``gap`` first.

    ``valid_until`` is when the credential ends, in Unix seconds. ``check_credential`` raises StreamEnd once it is not
    accepted any more; it is called in a thread, every 15 s.
    """

    def __init__(
        self,
        feed: LiveFeed,
        query: EventQuery,
        last_id: str,
        *,
        valid_until: float | None = None,
        check_credential: Callable[[], None] = lambda: None,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._feed = feed
        self._query = query
        self._last_id = last_id
        self._valid_until = math.inf if valid_until is None else valid_until
        self._check_credential = check_credential
        self._heartbeat_seconds = heartbeat_seconds
        self._clock = clock
        self._next_check = clock() + heartbeat_seconds

    async def messages(self) -> AsyncIterator[bytes]:
        """The body of the answer, piece by piece."""
        subscription = Subscription(asyncio.get_running_loop())
        try:
            yield b": connected\n\n"
            async for piece in self._pieces(subscription):
                yield piece
        except StreamEnd as end:
            yield sse_message(end.event, {"last": self._last_id, "why": str(end)}, self._last_id)
        finally:
            self._feed.unsubscribe(subscription)
            self._feed.dismiss(self)

    async def _pieces(self, subscription: Subscription) -> AsyncIterator[bytes]:
        if self._last_id and await _in_thread(self._feed.was_cut_after, self._last_id):
            yield sse_message("gap", {"after": self._last_id, "why": "older entries were trimmed"})
        async for piece in self._backlog():
            yield piece
        newest = await _in_thread(self._feed.subscribe, subscription)
        self._last_id = self._last_id or newest
        async for piece in self._backlog():  # what came in before the subscription
            yield piece
        async for piece in self._live(subscription):
            yield piece

    async def _backlog(self) -> AsyncIterator[bytes]:
        """The next page is read when the client has taken the last one."""
        while self._last_id:
            await self._check()
            entries = await _in_thread(self._feed.entries_after, self._last_id)
            if not entries:
                return
            if piece := self._piece(entries):
                yield piece

    async def _live(self, subscription: Subscription) -> AsyncIterator[bytes]:
        while True:
            entries = await subscription.next(self._seconds_to_wait())
            await self._check()
            if entries:
                if piece := self._piece(entries):
                    yield piece
            elif subscription.has_overflowed:
                raise StreamEnd("dropped", "this client reads too slowly")
            else:
                yield b": heartbeat\n\n"

    def _seconds_to_wait(self) -> float:
        return max(0.0, min(self._heartbeat_seconds, self._valid_until - self._clock()))

    async def _check(self) -> None:
        """Raises StreamEnd when the credential is not good any more."""
        now = self._clock()
        if now >= self._valid_until:
            raise StreamEnd("reauthenticate", "the credential has expired: connect again with a new one")
        if now >= self._next_check:
            self._next_check = now + self._heartbeat_seconds
            await _in_thread(self._check_credential)

    def _piece(self, entries: Sequence[FeedEntry]) -> bytes:
        """The messages of the entries that the client asks for and has not had, in one piece; moves on behind them."""
        after, wants = order(self._last_id), self._query.wants
        fresh = [entry for entry in entries if entry.order > after]
        if fresh:
            self._last_id = fresh[-1].entry_id
        return b"".join([entry.message for entry in fresh if entry.event is not None and wants(entry.event)])


async def _in_thread(work: Callable[..., Any], *arguments: Any) -> Any:
    """What ``work`` returns. A stream lives for hours, so its thread keeps no connection to the database."""

    def run() -> Any:
        try:
            return work(*arguments)
        finally:
            connections.close_all()

    return await asyncio.get_running_loop().run_in_executor(_THREADS, run)
