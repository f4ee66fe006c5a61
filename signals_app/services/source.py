"""Where a consumer's next deliveries come from: what it already holds, what the dead left behind, what is new."""

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

_CLAIM_EVERY_SECONDS = 1.0
_MOST_WAITING = 1_000
_PAGE = 500


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """``count`` deliveries at most a read, which blocks up to ``block_ms``; entries of the dead are claimed, and those
    that another client assigned to this consumer taken up, once they are idle for ``claim_idle_ms``; after a reconnect
    not before ``grace_seconds``, so that the others can beat."""

    count: int
    block_ms: int
    claim_idle_ms: int
    grace_seconds: float


class DeliverySource:
    """Redeliveries come one at a time: an entry that kills its consumer then counts against itself alone."""

    def __init__(self, group: ConsumerGroup, member: Member, window: ReplayWindow, intake: FetchOptions) -> None:
        self._group = group
        self._member = member
        self._window = window
        self._intake = intake
        self._put_back: list[Delivery] = []
        self._owed: deque[str] = deque()
        self._waiting: list[tuple[float, str]] = []
        self._claim_at = 0.0
        self.reclaimed = 0
        self._scan_held()

    def _scan_held(self, min_idle_ms: int = 0) -> None:
        self._held_after: str | None = "0-0"
        self._held_min_idle_ms = min_idle_ms

    def start_over(self, now: float, *, keeps_waiting: bool) -> None:
        """After a lost connection (entries may have been delivered without our hearing of it) or a new name."""
        self._put_back.clear()
        self._owed.clear()
        if not keeps_waiting:
            self._waiting.clear()
        self._claim_at = now + self._intake.grace_seconds
        self._scan_held()

    def requeue(self, deliveries: list[Delivery]) -> None:
        """These are taken again as they are, before anything else."""
        self._put_back = deliveries

    def wait_with(self, entry_id: str, due: float) -> None:
        """Delivers a held entry again once the clock says ``due``."""
        heapq.heappush(self._waiting, (due, entry_id))

    @property
    def owes(self) -> bool:
        """Whether something held is still to be delivered again, now or later."""
        return bool(self._put_back or self._owed or self._waiting or self._held_after)

    @property
    def is_full(self) -> bool:
        """So much waits for another try that nothing new is taken."""
        return len(self._waiting) >= _MOST_WAITING

    def will_read(self, now: float) -> bool:
        """Whether ``take`` will do nothing but read new entries."""
        is_due = bool(self._waiting) and self._waiting[0][0] <= now
        owes_now = self._put_back or self._owed or self._held_after or is_due
        return not (owes_now or self.is_full or now >= self._claim_at)

    def take(self, now: float, done: Sequence[str] = ()) -> list[Delivery]:
        """The next deliveries; empty when there were none within the blocking time, or when it is full.

        When it ``will_read``, what is ``done`` is acknowledged by the way.
        """
        if self._put_back:
            deliveries, self._put_back = self._put_back, []
            return deliveries
        self._look_for_owed(now)
        if self._owed:
            return self._deliver_again(self._owed.popleft())
        if self.is_full:
            return []
        return self._read(now, done)

    def _read(self, now: float, done: Sequence[str]) -> list[Delivery]:
        name, intake = self._member.name, self._intake
        return self._window.within(self._group.read(name, count=intake.count, block_ms=self._block_ms(now), done=done))

    def _look_for_owed(self, now: float) -> None:
        while self._waiting and self._waiting[0][0] <= now:
            self._owed.append(heapq.heappop(self._waiting)[1])
        if self._held_after is not None and not self._owed:
            self._take_up_held(self._held_after)
        elif now >= self._claim_at and not self._owed:
            self._claim(now)
            self._scan_held(self._intake.claim_idle_ms)
            self._take_up_held("0-0")

    def _take_up_held(self, after: str) -> None:
        """Nothing is in hand here: a batch has ended, or was put back, before anything else is taken."""
        held = self._group.held_by(self._member.name, after=after, count=_PAGE, min_idle_ms=self._held_min_idle_ms)
        self._held_after = held[-1] if len(held) == _PAGE else None
        known = self._known()
        found = [entry_id for entry_id in held if entry_id not in known]
        if found and self._held_min_idle_ms:
            logger.warning("%s takes up %d entries that another client gave it", self._member.name, len(found))
        self._owed.extend(found)
        self.reclaimed += len(found)

    def _known(self) -> set[str]:
        """What it holds and will deliver again by itself."""
        return {*self._owed, *(entry_id for _, entry_id in self._waiting)}

    def _claim(self, now: float) -> None:
        intake = self._intake
        claimed = self._group.claim_dead(self._member.name, min_idle_ms=intake.claim_idle_ms, count=_PAGE)
        if claimed:
            logger.info("%s claims %d entries of dead consumers", self._member.name, len(claimed))
        self._owed.extend(claimed)
        self.reclaimed += len(claimed)
        self._claim_at = now if len(claimed) == _PAGE else now + _CLAIM_EVERY_SECONDS

    def _deliver_again(self, entry_id: str) -> list[Delivery]:
        deliveries, gone = self._group.deliver_again(self._member.name, [entry_id])
        for lost in gone:
            logger.error("entry %s was deleted from the stream before it was handled", lost)
        return self._window.within(deliveries)

    def _block_ms(self, now: float) -> int:
        if not self._waiting:
            return self._intake.block_ms
        until_due_ms = int((self._waiting[0][0] - now) * 1000) + 1
        return max(1, min(self._intake.block_ms, until_due_ms))
