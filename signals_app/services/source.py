"""The delivery source of a consumer: its own pending entries, those of expired consumers, then new ones."""

import heapq
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from signals_app.domain.delivery import Delivery
from signals_app.services.member import Member
from signals_app.services.replay import ReplayWindow
from signals_app.store.group import ConsumerGroup

logger = logging.getLogger(__name__)

_CLAIM_INTERVAL_SECONDS = 1.0
_MAX_DELAYED = 1_000
_PAGE = 500


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
