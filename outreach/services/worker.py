"""The outreach worker: keeps a crew of sending threads busy with whatever may go now."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from avo_project.redis_client.errors import STORE_FAILURES, describe_store_error
from avo_project.runtime.heartbeat import Heartbeat
from avo_project.runtime.stop_flag import StopFlag
from outreach.conf import OutreachConf
from outreach.domain.cooldown import InboxCooldown
from outreach.domain.reservation import LeaseOwner, Outcome, Reservation, Settlement, Tried
from outreach.domain.reservation_plan import IdleHint, lanes_for, next_plan
from outreach.keys import REDIS_ALIAS
from outreach.services.backoff import Backoff
from outreach.services.inbox_cache import InboxCache
from outreach.services.ledger import Ledger
from outreach.services.maintenance import Maintenance
from outreach.services.sender_pool import SenderPool
from outreach.store.lanes import Lanes, Reserved

logger = logging.getLogger(__name__)
_POLL_SECONDS = 0.05
_PATIENCE_SECONDS = 10.0
_GRACE_SECONDS = 7.0


@dataclass(frozen=True, slots=True)
class Stepped:
    """What one step did, and in how many seconds the next lane is worth a look (None: none is)."""

    settled: int
    given: int
    next_seconds: float | None
    others_hold: bool

    @property
    def is_idle(self) -> bool:
        return not self.settled and not self.given


class Worker:
    """One process's share of the work.

    It reserves touches, has the ledger note that they are about to leave, gives them to the crew, writes down what
    became of them and ends the reservations; it also takes over what a dead worker held.
    """

    def __init__(
        self,
        shift: LeaseOwner,
        conf: OutreachConf,
        lanes: Lanes,
        ledger: Ledger,
        book: InboxCache,
        pool: SenderPool,
        maintenance: Maintenance,
        clock: Callable[[], float],
    ) -> None:
        self.counters = maintenance.counters
        self._shift = shift
        self._conf = conf
        self._lanes = lanes
        self._ledger = ledger
        self._book = book
        self._pool = pool
        self._maintenance = maintenance
        self._clock = clock
        self._breaker = InboxCooldown(conf.breaker_failures, conf.breaker_base_seconds, conf.breaker_cap_seconds)
        self._results: list[Tried] = []
        self._settlements: list[Settlement] = []
        self._reservations: tuple[Reservation, ...] = ()
        self._due: tuple[int, ...] = ()
        self._idle_hint: IdleHint | None = None
        self._was_woken = True

    def run(self, stop: StopFlag, *, stop_when_idle: bool = False) -> None:
        """Works until ``stop`` is set, or until nothing is due soon and nobody holds anything.

        While Redis or the database is away it waits; with ``stop_when_idle`` not for ever: raises the failure.
        """
        backoff = Backoff(self._clock, _PATIENCE_SECONDS if stop_when_idle else None)
        with Heartbeat(self._beat_if_reachable, self._shift.lease_seconds / 3):
            try:
                while not stop and not self._survive(stop, backoff, stop_when_idle):
                    self._was_woken |= stop_when_idle  # it must see at once when nobody holds anything any more
            finally:
                self._finish()

    def _survive(self, stop: StopFlag, backoff: Backoff, stop_when_idle: bool) -> bool:
        """One step and the rest after it; returns whether this worker is to end because nothing is left to wait for."""
        try:
            stepped = self.step()
            backoff.renew()
            if stop_when_idle and self._is_done(stepped):
                return True
            if stepped.is_idle:
                self._rest(stop, stepped.next_seconds)
        except STORE_FAILURES as failure:
            stop.wait(backoff.rest_seconds(failure))
        return False

    def step(self) -> Stepped:
        """Settles what is finished, takes what is due; blocks on nothing."""
        now = self._clock()
        if self._maintenance.leases_ended:
            self.beat()  # so that only other workers' touches are recovered
        self._maintenance.step(now)
        self._results += self._pool.collect()
        settled = self._settle(now)
        if not settled and (idle_hint := self._still_calm(now)) is not None:
            return Stepped(0, 0, idle_hint.seconds_left(now), others_hold=idle_hint.lease_seconds is not None)
        reserved = self._reserve(now)
        given = self._claim(now)
        if reserved is None:
            return Stepped(settled, given, None, others_hold=True)
        self._idle_hint = idle_hint = reserved.idle_hint(now)
        return Stepped(settled, given, idle_hint.next_seconds, others_hold=idle_hint.lease_seconds is not None)

    def _still_calm(self, now: float) -> IdleHint | None:
        """What the last look found, where a wait has ended without a wake and nothing came before its first lane."""
        idle_hint, self._idle_hint = self._idle_hint, None
        was_woken, self._was_woken = self._was_woken, True
        if idle_hint is None or was_woken or not idle_hint.holds(now, self._lanes.first()):
            return None
        self._idle_hint = idle_hint
        return idle_hint

    def beat(self) -> None:
        """Says that this worker lives and keeps what it holds."""
        held = [touch.reservation for touch in self._pool.in_hand]
        self._lanes.renew(self._shift, held)

    def _beat_if_reachable(self) -> None:
        try:
            self.beat()
        except STORE_FAILURES as failure:
            logger.warning("heartbeat missed: %s", describe_store_error(failure, REDIS_ALIAS))

    def _settle(self, now: float) -> int:
        """The ledger first: what is written there is true even if Redis forgets it."""
        if self._results:
            written = self._ledger.settle(self._results, now)
            if any(result.outcome.kind == "pause" for result in self._results):
                self._book.refresh()
            results, self._results = self._results, []
            self._settlements += [one.settlement for one in written]
            self.counters.count_states(one.status for one in written)
            self._rest_failing(results)
        settled = len(self._settlements)
        self._lanes.settle(self._settlements)
        self._settlements = []
        return settled

    def _rest_failing(self, results: list[Tried]) -> None:
        for result in results:
            inbox_id = result.outgoing.reservation.inbox_id
            seconds = self._breaker.rest_seconds(inbox_id, failed=result.outcome.is_inbox_failure)
            if seconds is not None:
                self._lanes.recheck(inbox_id, held_until_ms=round((result.finished_at + seconds) * 1000))

    def _reserve(self, now: float) -> Reserved | None:
        """Takes what is due, at most what the crew can start at once; None when the crew is full."""
        wanted = self._pool.free - len(self._reservations)
        if wanted <= 0:
            return None
        turn, ahead = next_plan(self._due, wanted), lanes_for(self._pool.size)
        terms = self._book.terms(turn.inbox_ids, now)
        reserved = self._lanes.reserve(self._shift, wanted, terms, most_of_one=turn.most_of_one, ahead=ahead)
        self._due = reserved.due_lanes
        self._reservations += reserved.reservations
        self._maintenance.note(reserved)
        if not turn.inbox_ids and self._due:
            return self._reserve(now)
        return reserved

    def _claim(self, now: float) -> int:
        claimed = self._ledger.claim(self._reservations, now)
        self._reservations = ()
        self._settlements += claimed.refused
        self.counters.count("suppressed", claimed.suppressed)
        self._pool.give(claimed.outgoing)
        return len(claimed.outgoing) + len(claimed.refused)

    def _is_done(self, stepped: Stepped) -> bool:
        """Nothing in anybody's hands and nothing due within a few seconds; what waits longer does not keep a worker."""
        if not stepped.is_idle or stepped.others_hold or self._pool.in_hand or self._maintenance.has_work:
            return False
        return stepped.next_seconds is None or stepped.next_seconds > self._conf.soon_seconds

    def _rest(self, stop: StopFlag, next_seconds: float | None) -> None:
        longest = self._conf.block_seconds
        seconds = longest if next_seconds is None else min(longest, max(0.0, next_seconds))
        if self._pool.in_hand:
            self._results += self._pool.collect(min(seconds, _POLL_SECONDS) or 0.001)
        elif seconds <= 0.1:  # a blocked server wakes a tenth of a second late
            stop.wait(seconds)
        else:
            self._wait_for_wake(seconds - 0.1 if seconds < longest else seconds)

    def _wait_for_wake(self, seconds: float) -> None:
        woken = self._lanes.wait_for_wake(seconds)
        self._due = (woken,) if woken is not None else ()
        self._was_woken = woken is not None

    def _finish(self) -> None:
        """Lets the crew end what it has begun; what hangs in a server by then may have left, and is written down so."""
        deadline = self._clock() + _GRACE_SECONDS
        while self._pool.in_hand and self._clock() < deadline:
            self._results += self._pool.collect(_POLL_SECONDS)
        why = Outcome("unknown", detail="the worker was stopped while the server did not answer")
        self._results += [Tried(touch, why, self._clock()) for touch in self._pool.in_hand]
        self._settlements += [Settlement(one, due_ms=0) for one in self._reservations]
        self._pool.dismiss()
        try:
            self._settle(self._clock())
            self._lanes.retire(self._shift.worker)
        except STORE_FAILURES as failure:
            logger.warning(
                "worker %s ends; what it held is recovered when its leases end: %s",
                self._shift.worker,
                describe_store_error(failure, REDIS_ALIAS),
            )
