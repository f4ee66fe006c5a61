"""The processor runs deliveries through the handler and acknowledges, dead-letters or redelivers them."""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from prometheus_client import Counter

from signals_app.domain.delivery import Delivery, Handled, MoveToDeadLetters, RetryPolicy, UnavailableError
from signals_app.domain.event import BadEventError, Event, parse_batch
from signals_app.services.handling import LoadedHandler
from signals_app.services.source import Member
from signals_app.store.group import ConsumerGroup

logger = logging.getLogger(__name__)

_ACKNOWLEDGE_INTERVAL_SECONDS = 0.05
_EVENTS = Counter("avo_signals_events", "Events finished by consumers of this process", ["outcome"])
_COUNTERS = [_EVENTS.labels(outcome) for outcome in ("executed", "duplicate", "dead")]

_Job = tuple[str, Event]  # entry id and event


@dataclass(slots=True)
class Counters:
    """Counts for the summary line of a consumer and for /metrics. ``consumed`` entries are finished: ``executed``,
    ``duplicates`` or ``dead``. ``reclaimed`` entries were pending before: for an earlier process of this name, for an
    expired consumer, or assigned by another client."""

    executed: int = 0
    duplicates: int = 0
    dead: int = 0
    reclaimed: int = 0

    @property
    def consumed(self) -> int:
        return self.executed + self.duplicates + self.dead

    def count(self, *, executed: int = 0, duplicates: int = 0, dead: int = 0) -> None:
        self.executed += executed
        self.duplicates += duplicates
        self.dead += dead
        for counter, number in zip(_COUNTERS, (executed, duplicates, dead), strict=True):
            if number:
                counter.inc(number)

    def __str__(self) -> str:
        return (
            f"consumed={self.consumed} executed={self.executed} duplicates={self.duplicates} "
            f"dead={self.dead} reclaimed={self.reclaimed}"
        )


class Processor:
    """Acknowledges an entry only after its handler's effect is committed.

    ``redeliver_at(entry_id, due)`` schedules a redelivery by the clock; ``must_end()`` is checked between two events to
    skip the rest of a batch.
    """

    def __init__(
        self,
        group: ConsumerGroup,
        member: Member,
        handler: LoadedHandler,
        *,
        retry_policy: RetryPolicy,
        redeliver_at: Callable[[str, float], None],
        must_end: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counters = Counters()
        self._group = group
        self._member = member
        self._handler = handler
        self._retry_policy = retry_policy
        self._redeliver_at = redeliver_at
        self._must_end = must_end
        self._clock = clock
        self._unfinished: dict[str, Delivery] = {}
        self._done: list[str] = []
        self._acknowledged_at = 0.0

    def work(self, deliveries: Sequence[Delivery]) -> None:
        """Process one batch. Raises RedisError, and UnavailableError, after which ``unhandled`` returns the rest."""
        self._unfinished = {delivery.entry_id: delivery for delivery in deliveries}
        self._member.track(self._unfinished)
        jobs = self._valid_jobs(deliveries)
        try:
            if self._handler.takes_batch:
                self._handle_together(jobs)
            else:
                self._handle_one_by_one(jobs)
        except UnavailableError:
            self.acknowledge_done()
            self._group.revert_delivery_count(self._member.name, self.unhandled())
            raise

    def _valid_jobs(self, deliveries: Sequence[Delivery]) -> list[_Job]:
        due = [delivery for delivery in deliveries if delivery.deliveries == 1 or not self._is_over_limit(delivery)]
        jobs = []
        for delivery, event in zip(due, parse_batch([delivery.fields for delivery in due]), strict=True):
            if isinstance(event, BadEventError):
                self._dead_letter(delivery, str(event))
            else:
                jobs.append((delivery.entry_id, event))
        return jobs

    def _is_over_limit(self, delivery: Delivery) -> bool:
        if outcome := self._retry_policy.check_deliveries(delivery.deliveries):
            self._dead_letter(delivery, outcome.reason)
        return outcome is not None

    def _handle_together(self, jobs: Sequence[_Job]) -> None:
        jobs = self._start(jobs)
        if not jobs:
            return
        try:
            handled = self._handler.handle([event for _, event in jobs])
        except UnavailableError:
            raise
        except Exception as failure:  # noqa: BLE001 - a handler may raise anything; it is logged
            if len(jobs) == 1:
                self._handle_failure(jobs[0], failure)
            else:
                logger.warning("a batch of %d events failed, so each is handled separately: %s", len(jobs), failure)
                self._handle_one_by_one(jobs)
        else:
            self._finish(jobs, handled)

    def _handle_one_by_one(self, jobs: Sequence[_Job]) -> None:
        for job in jobs:
            if self._must_end():
                return
            self._handle_alone(job)
            if self._clock() - self._acknowledged_at > _ACKNOWLEDGE_INTERVAL_SECONDS:
                self.acknowledge_done()

    def _handle_alone(self, job: _Job) -> None:
        if not self._start([job]):
            return
        try:
            handled = self._handler.handle([job[1]])
        except UnavailableError:
            raise
        except Exception as failure:  # noqa: BLE001 - a handler may raise anything; _settle logs it
            self._handle_failure(job, failure)
        else:
            self._finish([job], handled)

    def _start(self, jobs: Sequence[_Job]) -> Sequence[_Job]:
        entry_ids = [entry_id for entry_id, _ in jobs]
        if lost := self._member.lost(entry_ids):
            logger.warning("%d entries were claimed by others while this consumer sent no heartbeat", len(lost))
            self._untrack(lost)
            jobs = [job for job in jobs if job[0] not in lost]
            entry_ids = [entry_id for entry_id, _ in jobs]
        self._member.start(entry_ids)
        return jobs

    def _finish(self, jobs: Sequence[_Job], handled: Handled) -> None:
        finished = [entry_id for entry_id, _ in jobs]
        self._untrack(finished)
        self._done += finished
        self.counters.count(executed=handled.executed, duplicates=handled.duplicates)

    def unhandled(self) -> list[Delivery]:
        """Deliveries of the last batch that are neither finished, dead-lettered nor scheduled for redelivery."""
        return list(self._unfinished.values())

    @property
    def done(self) -> Sequence[str]:
        """Finished entries; ``acknowledge_done``, or a caller that then calls ``acknowledged``, acknowledges them."""
        return self._done

    def acknowledge_done(self) -> None:
        """Acknowledge finished entries; also after a lost connection, since they need no redelivery."""
        if self._done:
            self._group.acknowledge(self._done)
        self.acknowledged()

    def acknowledged(self) -> None:
        """Record that ``done`` was acknowledged."""
        if self._done:
            self._done = []
        self._acknowledged_at = self._clock()

    def _handle_failure(self, job: _Job, failure: Exception) -> None:
        entry_id, event = job
        delivery = self._unfinished[entry_id]
        outcome = self._retry_policy.after_failure(failure, delivery.deliveries)
        logger.warning("event %s failed: %s", event.signal_id, failure, exc_info=failure)
        if isinstance(outcome, MoveToDeadLetters):
            self._dead_letter(delivery, outcome.reason)
        else:
            self._untrack([entry_id])
            self._redeliver_at(entry_id, self._clock() + outcome.after_seconds)

    def _dead_letter(self, delivery: Delivery, reason: str) -> None:
        entry_id, _, deliveries = delivery
        is_moved = self._group.move_to_dead_letters(self._member.name, entry_id, reason=reason, deliveries=deliveries)
        self._untrack([entry_id])
        if is_moved:
            logger.error("entry %s was dead-lettered: %s", entry_id, reason)
            self.counters.count(dead=1)

    def _untrack(self, entry_ids: Collection[str]) -> None:
        self._member.untrack(entry_ids)
        for entry_id in entry_ids:
            self._unfinished.pop(entry_id, None)
