"""The outreach worker: reserves touches that may be sent now and keeps a pool of sender threads busy."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from avo_project.redis_client.errors import STORE_FAILURES, describe_store_error
from avo_project.runtime.heartbeat import Heartbeat
from avo_project.runtime.stop_flag import StopFlag
from outreach.conf import OutreachConf
from outreach.domain.reservation import LeaseOwner, Outcome, Reservation, SendResult, Settlement
from outreach.domain.reservation_plan import IdleHint, lanes_for, next_plan
from outreach.keys import REDIS_ALIAS
from outreach.services.backoff import Backoff
from outreach.services.holds import Holds
from outreach.services.inbox_cache import InboxCache
from outreach.services.ledger import Ledger
from outreach.services.maintenance import Maintenance
from outreach.services.sender_pool import SenderPool
from outreach.store.lanes import Lanes, Reserved

logger = logging.getLogger(__name__)
_POLL_SECONDS = 0.05
_OUTAGE_LIMIT_SECONDS = 10.0
_GRACE_SECONDS = 7.0
_PAUSE_PROPAGATION_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step did, and the seconds until the next lane is due (None: no lane is queued)."""

    settled: int
    submitted: int
    next_seconds: float | None
    others_hold_leases: bool

    @property
    def is_idle(self) -> bool:
        return not self.settled and not self.submitted


class Worker:
    """Reserves touches, records them as ``sending`` in the ledger, submits them to the pool, records the results and
    ends the reservations. Also recovers touches of workers that died.
    """

    def __init__(
        self,
        lease_owner: LeaseOwner,
        conf: OutreachConf,
        lanes: Lanes,
        ledger: Ledger,
        inbox_cache: InboxCache,
        pool: SenderPool,
        maintenance: Maintenance,
        clock: Callable[[], float],
    ) -> None:
        self.counters = maintenance.counters
        self._lease_owner = lease_owner
        self._conf = conf
        self._lanes = lanes
        self._ledger = ledger
        self._inbox_cache = inbox_cache
        self._pool = pool
        self._maintenance = maintenance
        self._clock = clock
        self._holds = Holds(conf.hold_policy, inbox_cache)
        self._results: list[SendResult] = []
        self._settlements: list[Settlement] = []
        self._reservations: tuple[Reservation, ...] = ()
        self._due: tuple[int, ...] = ()
        self._idle_hint: IdleHint | None = None
        self._was_woken = True

    def run(self, stop: StopFlag, *, stop_when_idle: bool = False) -> None:
        """Runs until ``stop`` is set; with ``stop_when_idle`` until no touch is due soon or leased by any worker.

        Retries while Redis or the database is unavailable; with ``stop_when_idle`` it raises after 10 seconds.
        """
        backoff = Backoff(self._clock, _OUTAGE_LIMIT_SECONDS if stop_when_idle else None)
        with Heartbeat(self._send_heartbeat_if_reachable, self._lease_owner.lease_seconds / 3):
            try:
                while not stop and not self._step_or_back_off(stop, backoff, stop_when_idle):
                    self._was_woken |= stop_when_idle  # with stop_when_idle, read the leases on every step
            finally:
                self._finish()

    def _step_or_back_off(self, stop: StopFlag, backoff: Backoff, stop_when_idle: bool) -> bool:
        """One step and the wait after it. Returns whether the worker should end because nothing is left to do."""
        try:
            step_result = self.step()
            backoff.reset()
            if stop_when_idle and self._is_done(step_result):
                return True
            if step_result.is_idle:
                self._wait(stop, step_result.next_seconds)
        except STORE_FAILURES as failure:
            stop.wait(backoff.delay_seconds(failure))
        return False

    def step(self) -> StepResult:
        """Settles finished touches and reserves due ones. Never blocks."""
        now = self._clock()
        if self._maintenance.leases_ended:
            self.send_heartbeat()  # so that only other workers' touches are recovered
        self._maintenance.step(now)
        self._results += self._pool.poll()
        settled = self._settle(now)
        if not settled and (idle_hint := self._valid_idle_hint(now)) is not None:
            return StepResult(0, 0, idle_hint.seconds_left(now), others_hold_leases=idle_hint.lease_seconds is not None)
        reserved = self._reserve(now)
        submitted = self._claim(now)
        if reserved is None:
            return StepResult(settled, submitted, None, others_hold_leases=True)
        self._idle_hint = idle_hint = reserved.idle_hint(now)
        return StepResult(
            settled, submitted, idle_hint.next_seconds, others_hold_leases=idle_hint.lease_seconds is not None
        )

    def _valid_idle_hint(self, now: float) -> IdleHint | None:
        """The idle hint, if the last wait timed out and the first lane is unchanged."""
        idle_hint, self._idle_hint = self._idle_hint, None
        was_woken, self._was_woken = self._was_woken, True
        if idle_hint is None or was_woken or not idle_hint.holds(now, self._lanes.first()):
            return None
        self._idle_hint = idle_hint
        return idle_hint

    def send_heartbeat(self) -> None:
        """Sends a heartbeat and renews the leases of touches in flight."""
        held = [touch.reservation for touch in self._pool.in_flight]
        self._lanes.renew(self._lease_owner, held)

    def _send_heartbeat_if_reachable(self) -> None:
        try:
            self.send_heartbeat()
        except STORE_FAILURES as failure:
            logger.warning("heartbeat missed: %s", describe_store_error(failure, REDIS_ALIAS))

    def _settle(self, now: float) -> int:
        """Writes to the ledger first: its states remain valid if Redis loses data."""
        if self._results:
            written = self._ledger.settle(self._results, now)
            if any(result.outcome.is_refused for result in self._results):
                self._inbox_cache.refresh()
            results, self._results = self._results, []
            self._settlements += [one.settlement for one in written]
            self.counters.count_states(one.status for one in written)
            self._hold_lanes(results)
        settled = len(self._settlements)
        self._lanes.settle(self._settlements)
        self._settlements = []
        return settled

    def _hold_lanes(self, results: list[SendResult]) -> None:
        """Before the reservations end: a touch of a held lane must not be reserved again. Other workers learn of a
        pause within seconds; until then the lane is held."""
        refused = [result for result in results if result.outcome.is_refused]
        paused = {
            result.outgoing.reservation.inbox_id: round((result.finished_at + _PAUSE_PROPAGATION_SECONDS) * 1000)
            for result in refused
            if self._inbox_cache[result.outgoing.reservation.inbox_id].rules.paused
        }
        for inbox_id, held_until_ms in (paused | self._holds.record(results)).items():
            self._lanes.recheck(inbox_id, held_until_ms)

    def _reserve(self, now: float) -> Reserved | None:
        """Reserves due touches, at most as many as the pool has free threads; None when it has none."""
        wanted = self._pool.free - len(self._reservations)
        if wanted <= 0:
            return None
        plan, ahead = next_plan(self._due, wanted), lanes_for(self._pool.size)
        effective_limits = self._inbox_cache.effective_limits(plan.inbox_ids, now)
        reserved = self._lanes.reserve(
            self._lease_owner, wanted, effective_limits, max_per_lane=plan.max_per_lane, ahead=ahead
        )
        self._due = reserved.due_lanes
        self._reservations += reserved.reservations
        self._maintenance.observe(reserved)
        if not plan.inbox_ids and self._due:
            return self._reserve(now)
        return reserved

    def _claim(self, now: float) -> int:
        claimed = self._ledger.claim(self._reservations, now)
        self._reservations = ()
        self._settlements += claimed.refused
        self.counters.count("suppressed", claimed.suppressed)
        self._pool.submit(claimed.outgoing)
        return len(claimed.outgoing) + len(claimed.refused)

    def _is_done(self, step_result: StepResult) -> bool:
        """Whether no worker holds a touch and none is due within ``soon_seconds``."""
        if (
            not step_result.is_idle
            or step_result.others_hold_leases
            or self._pool.in_flight
            or self._maintenance.has_work
        ):
            return False
        return step_result.next_seconds is None or step_result.next_seconds > self._conf.soon_seconds

    def _wait(self, stop: StopFlag, next_seconds: float | None) -> None:
        longest = self._conf.block_seconds
        seconds = longest if next_seconds is None else min(longest, max(0.0, next_seconds))
        if self._pool.in_flight:
            self._results += self._pool.poll(min(seconds, _POLL_SECONDS) or 0.001)
        elif seconds <= 0.1:  # a blocking read may return a tenth of a second late
            stop.wait(seconds)
        else:
            self._wait_for_wake(seconds - 0.1 if seconds < longest else seconds)

    def _wait_for_wake(self, seconds: float) -> None:
        woken = self._lanes.wait_for_wake(seconds)
        self._due = (woken,) if woken is not None else ()
        self._was_woken = woken is not None

    def _finish(self) -> None:
        """Waits for sends in progress. One that stays unanswered may have been delivered and becomes ``unknown``."""
        deadline = self._clock() + _GRACE_SECONDS
        while self._pool.in_flight and self._clock() < deadline:
            self._results += self._pool.poll(_POLL_SECONDS)
        why = Outcome("unknown", detail="the worker stopped before the server answered")
        self._results += [SendResult(touch, why, self._clock()) for touch in self._pool.in_flight]
        self._settlements += [Settlement(one, due_ms=0) for one in self._reservations]
        self._pool.shutdown()
        try:
            self._settle(self._clock())
            self._lanes.retire(self._lease_owner.worker)
        except STORE_FAILURES as failure:
            logger.warning(
                "worker %s ends; what it held is recovered when its leases end: %s",
                self._lease_owner.worker,
                describe_store_error(failure, REDIS_ALIAS),
            )
