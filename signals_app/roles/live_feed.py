"""The live feed: one reader of the stream a process, and any number of subscribers, each with a bounded buffer."""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from weakref import WeakSet

from redis.exceptions import RedisError

from signals_app.roles.connection_loss import back_off_seconds, passes
from signals_app.roles.feed_entry import FeedEntry, rendered
from signals_app.store.stream import SignalStream

logger = logging.getLogger(__name__)

BUFFERED_ENTRIES = 1_000
_BLOCK_MS = 1_000
PAGE = 500


class Subscription:
    """What one client has still to be sent. ``has_overflowed`` once it was too slow; it then gets nothing more."""

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int = BUFFERED_ENTRIES) -> None:
        self.has_overflowed = False
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

    async def next(self, seconds: float) -> list[FeedEntry]:
        """All entries that have come, after waiting up to ``seconds`` for the first; empty too when none will come."""
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
    """Reads while it has subscribers; its thread ends with the last of them.

    Clients are counted from their admission on, for one that catches up with a long backlog has not subscribed yet.
    """

    def __init__(self, connect: Callable[[], SignalStream] = SignalStream.connect) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._subscriptions: set[Subscription] = set()
        self._ended = threading.Event()
        self._clients: WeakSet[object] = WeakSet()  # a client cut off before its first message says no goodbye

    def admit(self, client: object, most: int) -> bool:
        """Whether one more may come in; until ``dismiss`` it is one of the ``most``."""
        with self._lock:
            if len(self._clients) >= most:
                return False
            self._clients.add(client)
            return True

    def dismiss(self, client: object) -> None:
        self._clients.discard(client)

    def was_cut_after(self, entry_id: str) -> bool:
        """Whether entries behind the id may be gone. Raises RedisError."""
        return self._connect().was_cut_after(entry_id)

    def entries_after(self, entry_id: str) -> Sequence[FeedEntry]:
        """The next page of entries behind the id, none at the end of the stream. Raises RedisError."""
        return rendered(self._connect().between(f"({entry_id}", "+", PAGE))

    def subscribe(self, subscription: Subscription) -> str:
        """It gets every entry added from now on; returns the id of the newest one before. Raises RedisError."""
        newest = self._connect().newest_first(before=None, count=1)
        after = newest[0].entry_id if newest else "0-0"
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
                if not passes(failure):
                    raise
                attempts += 1
                logger.warning("the live feed waits for Redis: %s", failure)
                ended.wait(back_off_seconds(attempts))

    def step(self, after: str, block_ms: int = _BLOCK_MS) -> str:
        """Hands out what came after an id; returns the id to go on from."""
        entries = self._connect().read_after(after, count=PAGE, block_ms=block_ms)
        if not entries:
            return after
        messages = rendered(entries)
        with self._lock:
            subscriptions = list(self._subscriptions)
        for subscription in subscriptions:
            subscription.offer(messages)
        return entries[-1].entry_id
