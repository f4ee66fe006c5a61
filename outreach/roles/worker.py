"""The outreach worker: keeps a crew of sending threads busy with whatever may go now."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from avo_project.heartbeat import Heartbeat
from avo_project.stop_flag import StopFlag
from avo_project.store_failures import STORE_FAILURES, told
from outreach.conf import OutreachConf
from outreach.keys import REDIS_ALIAS
from outreach.roles.crew import Crew
from outreach.roles.inbox_book import InboxBook
from outreach.roles.ledger import Ledger
from outreach.roles.patience import Patience
from outreach.roles.upkeep import Upkeep
from outreach.rules.breaker import Breaker
from outreach.rules.calm import Calm
from outreach.rules.outcome import Outcome
from outreach.rules.reservation import Reservation, Settlement, Shift, Tried
from outreach.rules.turn import lanes_for, next_turn
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
        shift: Shift,
        conf: OutreachConf,
        lanes: Lanes,
        ledger: Ledger,
        book: InboxBook,
        crew: Crew,
        upkeep: Upkeep,
        clock: Callable[[], float],
    ) -> None:
        self.tally = upkeep.tally
        self._shift = shift
        self._conf = conf
        self._lanes = lanes
        self._ledger = ledger
        self._book = book
        self._crew = crew
        self._upkeep = upkeep
        self._clock = clock
        self._breaker = Breaker(conf.breaker_failures, conf.breaker_base_seconds, conf.breaker_cap_seconds)
        self._results: list[Tried] = []
        self._settlements: list[Settlement] = []
        self._reservations: tuple[Reservation, ...] = ()
        self._due: tuple[int, ...] = ()
        self._calm: Calm | None = None
        self._was_woken = True

    def run(self, stop: StopFlag, *, stop_when_idle: bool = False) -> None:
        """Works until ``stop`` is set, or until nothing is due soon and nobody holds anything.

        While Redis or the database is away it waits; with ``stop_when_idle`` not for ever: raises the failure.
        """
        patience = Patience(self._clock, _PATIENCE_SECONDS if stop_when_idle else None)
        with Heartbeat(self._beat_if_reachable, self._shift.lease_seconds / 3):
            try:
                while not stop and not self._survive(stop, patience, stop_when_idle):
                    self._was_woken |= stop_when_idle  # it must see at once when nobody holds anything any more
            finally:
                self._finish()

    def _survive(self, stop: StopFlag, patience: Patience, stop_when_idle: bool) -> bool:
        """One step and the rest after it; returns whether this worker is to end because nothing is left to wait for."""
        try:
            stepped = self.step()
            patience.renew()
            if stop_when_idle and self._is_done(stepped):
                return True
            if stepped.is_idle:
                self._rest(stop, stepped.next_seconds)
        except STORE_FAILURES as failure:
            stop.wait(patience.rest_seconds(failure))
        return False

    def step(self) -> Stepped:
        """Settles what is finished, takes what is due; blocks on nothing."""
        now = self._clock()
        if self._upkeep.leases_ended:
            self.beat()  # so that only other workers' touches are recovered
        self._upkeep.step(now)
        self._results += self._crew.collect()
        settled = self._settle(now)
        if not settled and (calm := self._still_calm(now)) is not None:
            return Stepped(0, 0, calm.seconds_left(now), others_hold=calm.lease_seconds is not None)
        reserved = self._reserve(now)
        given = self._claim(now)
        if reserved is None:
            return Stepped(settled, given, None, others_hold=True)
        self._calm = calm = reserved.calm(now)
        return Stepped(settled, given, calm.next_seconds, others_hold=calm.lease_seconds is not None)

    def _still_calm(self, now: float) -> Calm | None:
        """What the last look found, where a wait has ended without a wake and nothing came before its first lane."""
        calm, self._calm = self._calm, None
        was_woken, self._was_woken = self._was_woken, True
        if calm is None or was_woken or not calm.holds(now, self._lanes.first()):
            return None
        self._calm = calm
        return calm

    def beat(self) -> None:
        """Says that this worker lives and keeps what it holds."""
        held = [touch.reservation for touch in self._crew.in_hand]
        self._lanes.renew(self._shift, held)

    def _beat_if_reachable(self) -> None:
        try:
            self.beat()
        except STORE_FAILURES as failure:
            logger.warning("heartbeat missed: %s", told(failure, REDIS_ALIAS))

    def _settle(self, now: float) -> int:
        """The ledger first: what is written there is true even if Redis forgets it."""
        if self._results:
            written = self._ledger.settle(self._results, now)
            if any(result.outcome.kind == "pause" for result in self._results):
                self._book.refresh()
            results, self._results = self._results, []
            self._settlements += [one.settlement for one in written]
            self.tally.count_states(one.status for one in written)
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
        wanted = self._crew.free - len(self._reservations)
        if wanted <= 0:
            return None
        turn, ahead = next_turn(self._due, wanted), lanes_for(self._crew.size)
        terms = self._book.terms(turn.inbox_ids, now)
        reserved = self._lanes.reserve(self._shift, wanted, terms, most_of_one=turn.most_of_one, ahead=ahead)
        self._due = reserved.due_lanes
        self._reservations += reserved.reservations
        self._upkeep.note(reserved)
        if not turn.inbox_ids and self._due:
            return self._reserve(now)
        return reserved

    def _claim(self, now: float) -> int:
        claimed = self._ledger.claim(self._reservations, now)
        self._reservations = ()
        self._settlements += claimed.refused
        self.tally.count("suppressed", claimed.suppressed)
        self._crew.give(claimed.outgoing)
        return len(claimed.outgoing) + len(claimed.refused)

    def _is_done(self, stepped: Stepped) -> bool:
        """Nothing in anybody's hands and nothing due within a few seconds; what waits longer does not keep a worker."""
        if not stepped.is_idle or stepped.others_hold or self._crew.in_hand or self._upkeep.has_work:
            return False
        return stepped.next_seconds is None or stepped.next_seconds > self._conf.soon_seconds

    def _rest(self, stop: StopFlag, next_seconds: float | None) -> None:
        longest = self._conf.block_seconds
        seconds = longest if next_seconds is None else min(longest, max(0.0, next_seconds))
        if self._crew.in_hand:
            self._results += self._crew.collect(min(seconds, _POLL_SECONDS) or 0.001)
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
        while self._crew.in_hand and self._clock() < deadline:
            self._results += self._crew.collect(_POLL_SECONDS)
        why = Outcome("unknown", detail="the worker was stopped while the server did not answer")
        self._results += [Tried(touch, why, self._clock()) for touch in self._crew.in_hand]
        self._settlements += [Settlement(one, due_ms=0) for one in self._reservations]
        self._crew.dismiss()
        try:
            self._settle(self._clock())
            self._lanes.retire(self._shift.worker)
        except STORE_FAILURES as failure:
            logger.warning(
                "worker %s ends; what it held is recovered when its leases end: %s",
                self._shift.worker,
                told(failure, REDIS_ALIAS),
            )
