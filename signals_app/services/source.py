"""A consumer as a member of its group, by name and heartbeat; and the source of its deliveries: its own pending
entries, those of expired consumers, then new ones."""

import heapq
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from signals_app.domain.delivery import Delivery
from signals_app.domain.entry import order
from signals_app.store.group import ConsumerGroup, NameTakenError, ReplayGroups

logger = logging.getLogger(__name__)

_CLAIM_INTERVAL_SECONDS = 1.0
_MAX_DELAYED = 1_000
_PAGE = 500


class Member:
    """Group membership of a consumer: its name, heartbeat and in-flight entries. Shared by the consumer loop and the
    heartbeat thread.

    A process that was paused for longer than its heartbeat TTL has lost its entries to other consumers. Call ``lost``
    before acting on an entry; it renews the heartbeat first if the last one is too old.
    """

    def __init__(
        self,
        group: ConsumerGroup,
        names: Sequence[str],
        *,
        stale_after_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = ""
        self._group = group
        self._names = names
        self._token = uuid.uuid4().hex
        self._stale_after_seconds = stale_after_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._in_flight: set[str] = set()
        self._started: set[str] = set()
        self._lost: set[str] = set()
        self._name_taken: NameTakenError | None = None
        self._beaten_at = 0.0

    def join(self) -> None:
        """Acquire the first free name, with no entries in flight. Raises NameTakenError when none is free."""
        with self._lock:
            self._beaten_at = self._clock()
            self.name = self._group.acquire_name(self._names, self._token)
            self._name_taken = None
            self._clear()

    def beat(self) -> None:
        """Send one heartbeat. The loop learns of a lost name at its next call of ``lost``."""
        with self._lock:
            if self.name and self._name_taken is None:
                self._beat()

    def _beat(self) -> None:
        started_at = self._clock()
        try:
            kept = self._group.beat(self.name, self._token, sorted(self._in_flight))
        except NameTakenError as taken:
            self._name_taken = taken
        else:
            self._lost = self._in_flight - kept
            self._beaten_at = started_at

    def track(self, entry_ids: Collection[str]) -> None:
        """Mark entries as in flight and not started."""
        with self._lock:
            self._in_flight.update(entry_ids)
            self._started.difference_update(entry_ids)
            self._lost.difference_update(entry_ids)

    def start(self, entry_ids: Collection[str]) -> None:
        """Mark entries as started: their deliveries count, even if the handler does not finish."""
        with self._lock:
            self._started.update(entry_ids)

    def untrack(self, entry_ids: Collection[str]) -> None:
        with self._lock:
            self._in_flight.difference_update(entry_ids)
            self._started.difference_update(entry_ids)

    def untrack_all(self) -> None:
        with self._lock:
            self._clear()

    def drop_name(self) -> None:
        """Forget the name and all entries; the next step joins again."""
        with self._lock:
            self.name = ""
            self._clear()

    def lost(self, entry_ids: Collection[str]) -> set[str]:
        """In-flight entries that another consumer has claimed. Raises NameTakenError when the name itself is lost."""
        with self._lock:
            if self._name_taken is None and self._clock() - self._beaten_at > self._stale_after_seconds:
                self._beat()
            if self._name_taken is not None:
                raise self._name_taken
            return self._lost.intersection(entry_ids) if self._lost else set()

    def leave(self) -> int:
        """Release the name and all entries. Returns the number of entries released."""
        with self._lock:
            if not self.name:
                return 0
            released = self._group.release_name(self.name, self._token, list(self._in_flight - self._started))
            self.name = ""
            self._clear()
            return released

    def _clear(self) -> None:
        self._in_flight.clear()
        self._started.clear()
        self._lost.clear()


class ReplayWindow:
    """Limits the deliveries of a replay group to its range; other groups are not limited."""

    def __init__(self, replays: ReplayGroups, group: str) -> None:
        self._replays = replays
        self._group = group
        self._end: str | None = None
        self._is_known = False

    def within(self, deliveries: list[Delivery]) -> list[Delivery]:
        """The deliveries within the range; the first one beyond it finishes the replay."""
        if deliveries and not self._is_known:
            self._look()
        if self._end is None or not self._beyond(deliveries):
            return deliveries
        self._look()  # the group may have been given a new range
        beyond = self._beyond(deliveries)
        if self._end is not None and beyond:
            self._replays.finish(self._group, self._end, [delivery.entry_id for delivery in beyond])
        return [delivery for delivery in deliveries if delivery not in beyond]

    def _look(self) -> None:
        self._end = self._replays.end_of(self._group)
        self._is_known = True

    def _beyond(self, deliveries: list[Delivery]) -> list[Delivery]:
        if self._end is None:
            return []
        end = order(self._end)
        return [delivery for delivery in deliveries if order(delivery.entry_id) > end]


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """``count`` is the maximum of a read, which blocks for up to ``block_ms``. Entries of expired consumers, and those
    that another client assigned to this one, are recovered once idle for ``claim_idle_ms``; after a reconnect not
    within ``grace_seconds``, so that other consumers can renew their heartbeats."""

    count: int
    block_ms: int
    claim_idle_ms: int
    grace_seconds: float


class DeliverySource:
    """Redeliveries come one at a time, so that an entry that crashes its consumer affects no other entry."""

    def __init__(self, group: ConsumerGroup, member: Member, window: ReplayWindow, options: FetchOptions) -> None:
        self._group = group
        self._member = member
        self._window = window
        self._options = options
        self._requeued: list[Delivery] = []
        self._backlog: deque[str] = deque()
        self._delayed: list[tuple[float, str]] = []
        self._claim_at = 0.0
        self.reclaimed = 0
        self._scan_held()

    def _scan_held(self, min_idle_ms: int = 0) -> None:
        self._held_after: str | None = "0-0"
        self._held_min_idle_ms = min_idle_ms

    def start_over(self, now: float, *, keep_delayed: bool) -> None:
        """Reset after a lost connection, when entries may be pending unnoticed, or after a change of name."""
        self._requeued.clear()
        self._backlog.clear()
        if not keep_delayed:
            self._delayed.clear()
        self._claim_at = now + self._options.grace_seconds
        self._scan_held()

    def requeue(self, deliveries: list[Delivery]) -> None:
        """Return these deliveries unchanged from the next ``take``."""
        self._requeued = deliveries

    def redeliver_at(self, entry_id: str, due: float) -> None:
        """Schedule the redelivery of a pending entry at ``due`` by the clock."""
        heapq.heappush(self._delayed, (due, entry_id))

    @property
    def has_backlog(self) -> bool:
        """Whether pending entries of this consumer remain to be redelivered, now or later."""
        return bool(self._requeued or self._backlog or self._delayed or self._held_after)

    @property
    def is_full(self) -> bool:
        """Whether so many entries await redelivery that nothing new is read."""
        return len(self._delayed) >= _MAX_DELAYED

    def will_read(self, now: float) -> bool:
        """Whether the next ``take`` only reads new entries."""
        is_due = bool(self._delayed) and self._delayed[0][0] <= now
        has_backlog_now = self._requeued or self._backlog or self._held_after or is_due
        return not (has_backlog_now or self.is_full or now >= self._claim_at)

    def take(self, now: float, done: Sequence[str] = ()) -> list[Delivery]:
        """The next deliveries; empty when none arrived within the blocking time, or when it ``is_full``.

        If it ``will_read``, the same round trip acknowledges ``done``.
        """
        if self._requeued:
            deliveries, self._requeued = self._requeued, []
            return deliveries
        self._fill_backlog(now)
        if self._backlog:
            return self._deliver_again(self._backlog.popleft())
        if self.is_full:
            return []
        return self._read(now, done)

    def _read(self, now: float, done: Sequence[str]) -> list[Delivery]:
        name, options = self._member.name, self._options
        return self._window.within(self._group.read(name, count=options.count, block_ms=self._block_ms(now), done=done))

    def _fill_backlog(self, now: float) -> None:
        while self._delayed and self._delayed[0][0] <= now:
            self._backlog.append(heapq.heappop(self._delayed)[1])
        if self._held_after is not None and not self._backlog:
            self._recover_pending(self._held_after)
        elif now >= self._claim_at and not self._backlog:
            self._claim(now)
            self._scan_held(self._options.claim_idle_ms)
            self._recover_pending("0-0")

    def _recover_pending(self, after: str) -> None:
        """Add pending entries of this consumer to the backlog. No batch is in progress at this point."""
        held = self._group.pending_ids(self._member.name, after=after, count=_PAGE, min_idle_ms=self._held_min_idle_ms)
        self._held_after = held[-1] if len(held) == _PAGE else None
        known = self._known()
        found = [entry_id for entry_id in held if entry_id not in known]
        if found and self._held_min_idle_ms:
            logger.warning("%s recovered %d entries that another client assigned to it", self._member.name, len(found))
        self._backlog.extend(found)
        self.reclaimed += len(found)

    def _known(self) -> set[str]:
        """Pending entries that are scheduled already."""
        return {*self._backlog, *(entry_id for _, entry_id in self._delayed)}

    def _claim(self, now: float) -> None:
        options = self._options
        claimed = self._group.claim_expired(self._member.name, min_idle_ms=options.claim_idle_ms, count=_PAGE)
        if claimed:
            logger.info("%s claimed %d entries of expired consumers", self._member.name, len(claimed))
        self._backlog.extend(claimed)
        self.reclaimed += len(claimed)
        self._claim_at = now if len(claimed) == _PAGE else now + _CLAIM_INTERVAL_SECONDS

    def _deliver_again(self, entry_id: str) -> list[Delivery]:
        deliveries, gone = self._group.deliver_again(self._member.name, [entry_id])
        for lost in gone:
            logger.error("entry %s was deleted from the stream before it was handled", lost)
        return self._window.within(deliveries)

    def _block_ms(self, now: float) -> int:
        if not self._delayed:
            return self._options.block_ms
        until_due_ms = int((self._delayed[0][0] - now) * 1000) + 1
        return max(1, min(self._options.block_ms, until_due_ms))
