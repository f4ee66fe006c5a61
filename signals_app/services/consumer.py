"""The consumer loop: joins a group, fetches and processes deliveries, and recovers from Redis errors."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from redis.exceptions import RedisError

from avo_project.redis_client.errors import REDIS_FAILURES
from avo_project.runtime.heartbeat import Heartbeat
from avo_project.runtime.stop_flag import StopFlag
from signals_app.domain.handling import UnavailableError
from signals_app.services.connection_loss import is_transient, reconnect_delay_seconds
from signals_app.services.counters import Counters
from signals_app.services.maintenance import Maintenance
from signals_app.services.member import Member
from signals_app.services.processor import Processor
from signals_app.services.source import DeliverySource
from signals_app.services.stop_deadline import StopDeadline, TimeIsUpError
from signals_app.store.group import ConsumerGroup, NameTakenError, is_group_missing

logger = logging.getLogger(__name__)

_HEARTBEAT_SECONDS = 1.0
_MAX_UNAVAILABLE_ATTEMPTS = 8  # about 7 s with the waits in between


@dataclass(frozen=True, slots=True)
class Step:
    """Result of one step. ``taken`` deliveries were processed; ``is_idle`` means that the group has nothing left;
    ``wait_seconds`` is the pause before the next step; ``unavailable`` is the error of a missing dependency."""

    taken: int = 0
    is_idle: bool = False
    wait_seconds: float = 0.0
    unavailable: UnavailableError | None = None


class Consumer:
    """Runs steps: each joins the group if necessary and processes one batch. ``name_timeout_seconds`` is how long to
    wait for a name that is in use, such as that of a process killed a moment ago."""

    def __init__(
        self,
        group: ConsumerGroup,
        member: Member,
        source: DeliverySource,
        processor: Processor,
        maintenance: Maintenance,
        *,
        name_timeout_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._group = group
        self._member = member
        self._source = source
        self._processor = processor
        self._maintenance = maintenance
        self._name_timeout_seconds = name_timeout_seconds
        self._clock = clock
        self._attempts = 0
        self._unavailable_attempts = 0
        self._name_wanted_since: float | None = None

    @property
    def counters(self) -> Counters:
        """The counters so far."""
        self._processor.counters.reclaimed = self._source.reclaimed
        return self._processor.counters

    def run(self, stop: StopFlag, deadline: StopDeadline, *, stop_when_idle: bool = False) -> Counters:
        """Run until ``stop`` or, with ``stop_when_idle``, until the group has nothing left; then release what is held.

        Raises NameTakenError when the name stays in use, RedisError for a permanent error, and, with
        ``stop_when_idle``, UnavailableError when a dependency of the handler stays down.
        """
        try:
            with deadline, Heartbeat(self._member.beat, _HEARTBEAT_SECONDS):
                try:
                    self._work(stop, stop_when_idle)
                finally:
                    self._leave()
        except TimeIsUpError:
            logger.warning(
                "stopped without releasing entries because Redis hangs; other consumers claim them once they are idle"
            )
        return self.counters

    def _work(self, stop: StopFlag, stop_when_idle: bool) -> None:
        try:
            while not stop:
                step = self.step(self._clock())
                if stop_when_idle and step.is_idle:
                    return
                if (
                    stop_when_idle
                    and step.unavailable is not None
                    and self._unavailable_attempts >= _MAX_UNAVAILABLE_ATTEMPTS
                ):
                    raise step.unavailable
                if step.wait_seconds:
                    stop.wait(step.wait_seconds)
        except TimeIsUpError:
            logger.warning("the stop deadline interrupted a handler or a Redis call")

    def step(self, now: float) -> Step:
        """Process one batch. Transient errors result in a wait."""
        try:
            step = self._unit(now)
        except UnavailableError as down:
            return self._wait_for_dependency(down)
        except NameTakenError as taken:
            return self._wait_for_name(now, taken)
        except RedisError as failure:
            if is_transient(failure):
                return self._wait_for_redis(now, failure)
            if is_group_missing(failure):
                return self._recreate_group(now)
            raise
        self._attempts = self._unavailable_attempts = 0
        return step

    def _unit(self, now: float) -> Step:
        if not self._member.name:
            self._join()
        if not self._source.will_read(now):
            self._processor.acknowledge_done()
        self._maintenance.step(now)
        deliveries = self._source.take(now, self._processor.done)
        self._processor.acknowledged()
        if deliveries:
            self._processor.work(deliveries)
            return Step(taken=len(deliveries))
        if self._source.has_backlog:
            return Step(wait_seconds=0.1 if self._source.is_full else 0.0)
        return Step(is_idle=self._group.pending() == 0)

    def _join(self) -> None:
        self._group.make()
        self._member.join()
        self._name_wanted_since = None
        logger.info("consumer %s joined group %s", self._member.name, self._group.name)

    def _wait_for_dependency(self, down: UnavailableError) -> Step:
        self._unavailable_attempts += 1
        self._source.requeue(self._processor.unhandled())
        logger.warning("waiting for a dependency: %s", down)
        return Step(wait_seconds=reconnect_delay_seconds(self._unavailable_attempts), unavailable=down)

    def _wait_for_name(self, now: float, taken: NameTakenError) -> Step:
        if self._name_wanted_since is None:
            self._name_wanted_since = now
        elif now - self._name_wanted_since > self._name_timeout_seconds:
            raise taken
        logger.warning("waiting for a name: %s", taken)
        self._member.drop_name()
        self._source.start_over(now, keep_delayed=False)
        return Step(wait_seconds=0.5)

    def _wait_for_redis(self, now: float, failure: Exception) -> Step:
        self._attempts += 1
        wait_seconds = reconnect_delay_seconds(self._attempts)
        logger.warning("Redis is unavailable, next attempt in %.1f s: %s", wait_seconds, failure)
        self._member.untrack_all()
        self._source.start_over(now, keep_delayed=True)
        return Step(wait_seconds=wait_seconds)

    def _recreate_group(self, now: float) -> Step:
        logger.warning("group %s does not exist any more; it is created again at the first entry", self._group.name)
        self._member.drop_name()
        self._source.start_over(now, keep_delayed=False)
        return Step()

    def _leave(self) -> None:
        try:
            self._processor.acknowledge_done()
            released = self._member.leave()
            self._maintenance.run()
        except REDIS_FAILURES as failure:
            logger.warning(
                "stopped without releasing entries; other consumers claim them once they are idle: %s", failure
            )
        else:
            if released:
                logger.info("released %d entries", released)
