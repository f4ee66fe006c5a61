"""The live feed: one reader of the stream a process, and any number of subscribers, each with a bounded buffer."""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from weakref import WeakSet

from redis.exceptions import RedisError

from signals_app.roles.connection_loss import back_off_seconds, passes
from signals_app.roles.feed_entry import FeedEntry, rendered
from signals_app.rules.entry_id import order
from signals_app.store.stream import SignalStream

logger = logging.getLogger(__name__)

BUFFERED_ENTRIES = 1_000
_BLOCK_MS = 1_000
PAGE = 500


class Subscription:
    """What one client has still to be sent. ``has_overflowed`` once it was too slow; it then gets nothing more."""

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
        if self._queue.empty():  # whoever waits for an entry learns of it at once
            self._queue.put_nowait(FeedEntry(last_id, order(last_id), None, b""))

    def take_rewind(self) -> str:
        """The id to which the stream went back since the last call, empty when it did not. What ``next`` returned
        before may be of either side of that: read the stream instead."""
        last_id, self._rewound_to = self._rewound_to, ""
        if last_id:
            while not self._queue.empty():
                self._queue.get_nowait()
        return last_id

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

    def last_id(self) -> str:
        """The last id that the stream gave out. Raises RedisError."""
        return self._connect().last_id()

    def entries_after(self, entry_id: str) -> Sequence[FeedEntry]:
        """The next page of entries behind the id, none at the end of the stream. Raises RedisError."""
        return rendered(self._connect().between(f"({entry_id}", "+", PAGE))

    def subscribe(self, subscription: Subscription) -> str:
        """It gets every entry added from now on; returns the stream's last id before. Raises RedisError."""
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
                if not passes(failure):
                    raise
                attempts += 1
                logger.warning("the live feed waits for Redis: %s", failure)
                ended.wait(back_off_seconds(attempts))

    def step(self, after: str, block_ms: int = _BLOCK_MS) -> str:
        """Hands out what came after an id, or that the stream went back behind it; returns the id to go on from."""
        entries = self._connect().read_after(after, count=PAGE, block_ms=block_ms)
        if not entries:
            return self._last_id_below(after)
        messages = rendered(entries)
        for subscription in self._subscribed():
            subscription.offer(messages)
        return entries[-1].entry_id

    def _last_id_below(self, after: str) -> str:
        """A stream that was restored or repaired gives out ids below ``after`` again, which no read would show."""
        last_id = self.last_id()
        if order(last_id) >= order(after):
            return after
        logger.warning("the stream went back from %s to %s: the live feed goes on from there", after, last_id)
        for subscription in self._subscribed():
            subscription.rewind(last_id)
        return last_id

    def _subscribed(self) -> list[Subscription]:
        with self._lock:
            return list(self._subscriptions)
