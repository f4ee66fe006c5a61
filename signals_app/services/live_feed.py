"""The live feed: one reader of the stream per process, and an event source per connected client."""

import asyncio
import logging
import math
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple
from weakref import WeakSet

from django.db import connections
from redis.exceptions import RedisError

from avo_project.http.json import dump_json
from signals_app.domain.entry import Entry, order
from signals_app.domain.event import BadEventError, Event, parse_entry
from signals_app.services.connection_loss import is_transient, reconnect_delay_seconds
from signals_app.services.event_page import EventQuery, as_json
from signals_app.services.feed_access import FeedAccess, UnlimitedAccess
from signals_app.store.stream import SignalStream


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


logger = logging.getLogger(__name__)

BUFFERED_ENTRIES = 1_000
_BLOCK_MS = 1_000
PAGE = 500


class Subscription:
    """Buffer of one client. ``has_overflowed`` once the client was too slow; it then gets no more entries."""

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int = BUFFERED_ENTRIES) -> None:
        self.has_overflowed = False
        self._rewound_to = ""
        self._loop = loop
        self._queue: asyncio.Queue[FeedEntry] = asyncio.Queue(most)

    def offer(self, entries: list[FeedEntry]) -> None:
        """Called by the reader's thread."""
        self._loop.call_soon_threadsafe(self._put, entries)

    def _put(self, entries: list[FeedEntry]) -> None:
        for entry in entries:
            if self._queue.full():
                self.has_overflowed = True
            if not self.has_overflowed:
                self._queue.put_nowait(entry)

    def rewind(self, last_id: str) -> None:
        """The stream went back to ``last_id``. Called by the reader's thread."""
        self._loop.call_soon_threadsafe(self._rewind, last_id)

    def _rewind(self, last_id: str) -> None:
        self._rewound_to = last_id
        if self._queue.empty():  # wakes up the client that waits for an entry
            self._queue.put_nowait(FeedEntry(last_id, order(last_id), None, b""))

    def take_rewind(self) -> str:
        """The id to which the stream went back since the last call, empty when it did not. Entries returned by ``next``
        before may be from either side of it: read the stream instead."""
        last_id, self._rewound_to = self._rewound_to, ""
        if last_id:
            while not self._queue.empty():
                self._queue.get_nowait()
        return last_id

    async def next(self, seconds: float) -> list[FeedEntry]:
        """Buffered entries, after waiting up to ``seconds`` for the first; also empty after an overflow."""
        if self.has_overflowed and self._queue.empty():
            return []
        try:
            entries = [await asyncio.wait_for(self._queue.get(), seconds)]
        except TimeoutError:
            return []
        while not self._queue.empty():
            entries.append(self._queue.get_nowait())
        return entries


class LiveFeed:
    """Reads the stream in one thread for all subscribers of the process; the thread ends with the last of them.

    Clients count from ``add_client`` on, since one that reads a long backlog has not subscribed yet.
    """

    def __init__(self, connect: Callable[[], SignalStream] = SignalStream.connect) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._subscriptions: set[Subscription] = set()
        self._ended = threading.Event()
        self._clients: WeakSet[object] = (
            WeakSet()
        )  # a client that disconnects before its first message is never removed explicitly

    def add_client(self, client: object, limit: int) -> bool:
        """Whether there is a place; it is taken until ``remove_client``. ``limit`` is the number of places."""
        with self._lock:
            if len(self._clients) >= limit:
                return False
            self._clients.add(client)
            return True

    def remove_client(self, client: object) -> None:
        self._clients.discard(client)

    def is_trimmed_after(self, entry_id: str) -> bool:
        """Whether entries after the id may have been trimmed. Raises RedisError."""
        return self._connect().is_trimmed_after(entry_id)

    def last_id(self) -> str:
        """The last id generated by the stream. Raises RedisError."""
        return self._connect().last_id()

    def entries_after(self, entry_id: str) -> Sequence[FeedEntry]:
        """The next page of entries after the id, empty at the end of the stream. Raises RedisError."""
        return rendered(self._connect().between(f"({entry_id}", "+", PAGE))

    def subscribe(self, subscription: Subscription) -> str:
        """Deliver every entry added from now on. Returns the last id before. Raises RedisError."""
        after = self.last_id()
        with self._lock:
            self._subscriptions.add(subscription)
            if len(self._subscriptions) == 1:
                self._ended = threading.Event()
                arguments = (after, self._ended)
                threading.Thread(target=self._run, args=arguments, name="live-feed", daemon=True).start()
        return after

    def unsubscribe(self, subscription: Subscription) -> None:
        with self._lock:
            self._subscriptions.discard(subscription)
            if not self._subscriptions:
                self._ended.set()

    def _run(self, after: str, ended: threading.Event) -> None:
        attempts = 0
        while not ended.is_set():
            try:
                after = self.step(after)
                attempts = 0
            except RedisError as failure:
                if not is_transient(failure):
                    raise
                attempts += 1
                logger.warning("the live feed is waiting for Redis: %s", failure)
                ended.wait(reconnect_delay_seconds(attempts))

    def step(self, after: str, block_ms: int = _BLOCK_MS) -> str:
        """Pass new entries, or a rewind of the stream, to the subscribers. Returns the id to continue from."""
        entries = self._connect().read_after(after, count=PAGE, block_ms=block_ms)
        if not entries:
            return self._last_id_below(after)
        messages = rendered(entries)
        for subscription in self._subscribed():
            subscription.offer(messages)
        return entries[-1].entry_id

    def _last_id_below(self, after: str) -> str:
        """Detects a restored or repaired stream, which generates ids below ``after`` that no read would return."""
        last_id = self.last_id()
        if order(last_id) >= order(after):
            return after
        logger.warning("the stream went back from %s to %s; the live feed continues from there", after, last_id)
        for subscription in self._subscribed():
            subscription.rewind(last_id)
        return last_id

    def _subscribed(self) -> list[Subscription]:
        with self._lock:
            return list(self._subscriptions)


HEARTBEAT_SECONDS = 15.0

ENTRIES_PER_UNIT = PAGE

_THREADS = ThreadPoolExecutor(max_workers=4, thread_name_prefix="feed")
# One page at a time: clients with a backlog take turns, and the event loop keeps its share of the CPU.
_BACKLOG_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="feed-backlog")


class StreamEnd(Exception):  # noqa: N818 - an end is no error
    """Ends a stream with a last ``event`` and a reason."""

    def __init__(self, event: str, why: str) -> None:
        super().__init__(why)
        self.event = event


class EventSource:
    """The Server-Sent Events of one client: the events after ``last_id`` (empty: none), then new events.

    A comment after 15 s without an event keeps proxies from closing the connection. It carries the id of the last entry
    that the query left out, which sets the client's last id and is no event (HTML Standard, 9.2.6). The last event of a
    stream has the reason and the id
    to resume from: ``reauthenticate`` when the credential has expired, ``dropped`` when the client was too slow or lost
    its place. An id older than the stream, or ahead of it after a restore, results in a ``gap`` event; in the latter
    case the client continues from the id of that event.

    Every 500 entries of the backlog cost one unit; without units the client waits.

    ``valid_until`` is the expiry of the credential in Unix seconds. ``check_credential`` raises StreamEnd when the
    credential is no longer accepted; it is called in a thread every 15 s.
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
        self._next_comment = 0.0  # by the clock of the event loop
        self._known_id = last_id  # of the last event or comment
        self._read = self._paid = 0
        # A client that disconnects before its first message never reaches the end of messages().
        self.release = weakref.finalize(self, _THREADS.submit, self._access.release)
        self.release.atexit = False  # type: ignore[misc]  # typeshed has it as no slot

    async def messages(self) -> AsyncIterator[bytes]:
        """The response body in chunks."""
        subscription = Subscription(asyncio.get_running_loop())
        try:
            yield b": connected\n\n"
            async for piece in self._pieces(subscription):
                yield piece
        except StreamEnd as end:
            yield sse_message(end.event, {"last": self._last_id, "why": str(end)}, self._last_id)
        finally:
            self._feed.unsubscribe(subscription)
            self._feed.remove_client(self)
            self.release()

    async def _pieces(self, subscription: Subscription) -> AsyncIterator[bytes]:
        if self._last_id and await _in_thread(self._feed.is_trimmed_after, self._last_id):
            yield sse_message("gap", {"after": self._last_id, "why": "older entries were trimmed"})
        async for piece in self._backlog():
            yield piece
        newest = await _in_thread(self._feed.subscribe, subscription)
        self._last_id = self._last_id or newest
        # Entries added before the subscription. The id is read again, since only subscribers are notified of a rewind.
        async for piece in self._resume(await _in_thread(self._feed.last_id)):
            yield piece
        async for piece in self._live(subscription):
            yield piece

    async def _resume(self, last_id: str) -> AsyncIterator[bytes]:
        """Entries that the client has not received, of a stream whose last id is ``last_id``."""
        if order(self._last_id) > order(last_id):
            data = {
                "after": self._last_id,
                "why": "the stream went back to before this id; it continues from the newest",
            }
            self._last_id = last_id
            yield sse_message("gap", data, last_id)
        async for piece in self._backlog():
            yield piece

    async def _backlog(self) -> AsyncIterator[bytes]:
        """Page by page; the next one is read once the client has received the last one and its units are charged."""
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
        """Charge the entries read. Returns 0, or the seconds until units may be available."""
        units = self._read // ENTRIES_PER_UNIT - self._paid
        wait_seconds: float = await _in_thread(self._access.charge, units) if units else 0.0
        if not wait_seconds:
            self._paid += units
        return wait_seconds

    async def _live(self, subscription: Subscription) -> AsyncIterator[bytes]:
        self._next_comment, self._known_id = _loop_seconds() + self._heartbeat_seconds, self._last_id
        while True:
            entries = await subscription.next(self._seconds_to_wait())
            await self._check()
            if rewound_to := subscription.take_rewind():
                async for piece in self._resume(rewound_to):
                    yield piece
            elif piece := self._piece(entries):
                self._next_comment = _loop_seconds() + self._heartbeat_seconds
                self._known_id = self._last_id
                yield piece
            elif not entries and subscription.has_overflowed:
                raise StreamEnd("dropped", "this client reads too slowly")
            elif _loop_seconds() >= self._next_comment:
                yield self._comment()

    def _comment(self) -> bytes:
        self._next_comment = _loop_seconds() + self._heartbeat_seconds
        moved, self._known_id = self._last_id != self._known_id, self._last_id
        return b": heartbeat\nid: %b\n\n" % self._last_id.encode() if moved else b": heartbeat\n\n"

    def _seconds_to_wait(self) -> float:
        return max(0.0, min(self._next_comment - _loop_seconds(), self._valid_until - self._clock()))

    async def _check(self) -> None:
        """Raises StreamEnd when the client may not continue."""
        now = self._clock()
        if now >= self._valid_until:
            raise StreamEnd("reauthenticate", "the credential has expired; reconnect with a new one")
        if now >= self._next_check:
            self._next_check = now + self._heartbeat_seconds
            await _in_thread(self._check_credential)
            if not await _in_thread(self._access.renew):
                raise StreamEnd("dropped", "another stream of the account has taken this place")

    def _piece(self, entries: Sequence[FeedEntry]) -> bytes:
        """The messages of new entries that match the query, joined; advances the last id."""
        after, matches = order(self._last_id), self._query.matches
        fresh = [entry for entry in entries if entry.order > after]
        if fresh:
            self._last_id = fresh[-1].entry_id
        return b"".join([entry.message for entry in fresh if entry.event is not None and matches(entry.event)])


def _loop_seconds() -> float:
    return asyncio.get_running_loop().time()


async def _in_thread(work: Callable[..., Any], *arguments: Any, threads: ThreadPoolExecutor = _THREADS) -> Any:
    """Run ``work`` in a thread. Database connections are closed, because a stream lasts for hours."""

    def run() -> Any:
        try:
            return work(*arguments)
        finally:
            connections.close_all()

    return await asyncio.get_running_loop().run_in_executor(threads, run)
