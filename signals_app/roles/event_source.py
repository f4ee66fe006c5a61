"""One client of the live feed, as Server-Sent Events (WHATWG HTML, section 9.2)."""

import asyncio
import math
import time
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connections

from signals_app.roles.event_page import EventQuery
from signals_app.roles.feed_access import FeedAccess, UnlimitedAccess
from signals_app.roles.feed_entry import FeedEntry, sse_message
from signals_app.roles.live_feed import PAGE, LiveFeed, Subscription
from signals_app.rules.entry_id import order

HEARTBEAT_SECONDS = 15.0

ENTRIES_PER_UNIT = PAGE

_THREADS = ThreadPoolExecutor(max_workers=4, thread_name_prefix="feed")
# One page at a time: clients that catch up take turns, and the event loop keeps its share of the processor.
_BACKLOG_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="feed-backlog")


class StreamEnd(Exception):  # noqa: N818 - an end is no error
    """Why a stream ends: the name of its last event, and a text for people."""

    def __init__(self, event: str, why: str) -> None:
        super().__init__(why)
        self.event = event


class EventSource:
    """Sends the events after ``last_id`` (empty: only new ones), then new ones as they come.

    A comment every 15 s keeps proxies from closing the connection. The last event of a stream says why it ends and has
    the id to resume from: ``reauthenticate`` when the credential has ended, ``dropped`` when the client was too slow
    or lost its place.
    An id older than the stream is answered with ``gap`` first. So is one ahead of the stream, as after a restore: the
    client goes on from the stream's last id, which that ``gap`` has as its id.

    Every 500 entries that are read of the backlog cost one unit; without units left it waits.

    ``valid_until`` is when the credential ends, in Unix seconds. ``check_credential`` raises StreamEnd once it is not
    accepted any more; it is called in a thread, every 15 s.
    """

    def __init__(
        self,
        feed: LiveFeed,
        query: EventQuery,
        last_id: str,
        *,
        access: FeedAccess | None = None,
        valid_until: float | None = None,
        check_credential: Callable[[], None] = lambda: None,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._feed = feed
        self._query = query
        self._last_id = last_id
        self._access = access or UnlimitedAccess()
        self._valid_until = math.inf if valid_until is None else valid_until
        self._check_credential = check_credential
        self._heartbeat_seconds = heartbeat_seconds
        self._clock = clock
        self._next_check = clock() + heartbeat_seconds
        self._read = self._paid = 0
        # A client that is cut off before its first message never comes to the end of messages().
        self.release = weakref.finalize(self, _THREADS.submit, self._access.release)
        self.release.atexit = False  # type: ignore[misc]  # typeshed has it as no slot

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
            self.release()

    async def _pieces(self, subscription: Subscription) -> AsyncIterator[bytes]:
        if self._last_id and await _in_thread(self._feed.was_cut_after, self._last_id):
            yield sse_message("gap", {"after": self._last_id, "why": "older entries were trimmed"})
        async for piece in self._backlog():
            yield piece
        newest = await _in_thread(self._feed.subscribe, subscription)
        self._last_id = self._last_id or newest
        # What came in before the subscription. The id is read once more: a rewind is announced to subscribers alone.
        async for piece in self._resume(await _in_thread(self._feed.last_id)):
            yield piece
        async for piece in self._live(subscription):
            yield piece

    async def _resume(self, last_id: str) -> AsyncIterator[bytes]:
        """What the client has not had of a stream whose last id is, or has just been, ``last_id``."""
        if order(self._last_id) > order(last_id):
            data = {"after": self._last_id, "why": "the stream went back behind this id; it goes on from the newest"}
            self._last_id = last_id
            yield sse_message("gap", data, last_id)
        async for piece in self._backlog():
            yield piece

    async def _backlog(self) -> AsyncIterator[bytes]:
        """A page at a time: the next one is read when the client has taken the last one and its account has paid."""
        while self._last_id:
            await self._check()
            entries = await _in_thread(self._feed.entries_after, self._last_id, threads=_BACKLOG_THREAD)
            if not entries:
                return
            self._read += len(entries)
            while wait_seconds := await self._charge():
                yield b": waiting for units of the rate limit\n\n"
                await asyncio.sleep(min(wait_seconds, self._heartbeat_seconds))
                await self._check()
            if piece := self._piece(entries):
                yield piece

    async def _charge(self) -> float:
        """Pays for what was read; 0, or the seconds until there may be units."""
        units = self._read // ENTRIES_PER_UNIT - self._paid
        wait_seconds: float = await _in_thread(self._access.charge, units) if units else 0.0
        if not wait_seconds:
            self._paid += units
        return wait_seconds

    async def _live(self, subscription: Subscription) -> AsyncIterator[bytes]:
        while True:
            entries = await subscription.next(self._seconds_to_wait())
            await self._check()
            if rewound_to := subscription.take_rewind():
                async for piece in self._resume(rewound_to):
                    yield piece
            elif entries:
                if piece := self._piece(entries):
                    yield piece
            elif subscription.has_overflowed:
                raise StreamEnd("dropped", "this client reads too slowly")
            else:
                yield b": heartbeat\n\n"

    def _seconds_to_wait(self) -> float:
        return max(0.0, min(self._heartbeat_seconds, self._valid_until - self._clock()))

    async def _check(self) -> None:
        """Raises StreamEnd when the client may not have more."""
        now = self._clock()
        if now >= self._valid_until:
            raise StreamEnd("reauthenticate", "the credential has expired: connect again with a new one")
        if now >= self._next_check:
            self._next_check = now + self._heartbeat_seconds
            await _in_thread(self._check_credential)
            if not await _in_thread(self._access.renew):
                raise StreamEnd("dropped", "another stream of the account has got this one's place")

    def _piece(self, entries: Sequence[FeedEntry]) -> bytes:
        """The messages of the entries that the client asks for and has not had, in one piece; moves on behind them."""
        after, wants = order(self._last_id), self._query.wants
        fresh = [entry for entry in entries if entry.order > after]
        if fresh:
            self._last_id = fresh[-1].entry_id
        return b"".join([entry.message for entry in fresh if entry.event is not None and wants(entry.event)])


async def _in_thread(work: Callable[..., Any], *arguments: Any, threads: ThreadPoolExecutor = _THREADS) -> Any:
    """What ``work`` returns. A stream lives for hours, so its thread keeps no connection to the database."""

    def run() -> Any:
        try:
            return work(*arguments)
        finally:
            connections.close_all()

    return await asyncio.get_running_loop().run_in_executor(threads, run)
