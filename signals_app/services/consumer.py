"""The consumer: its options, its assembly, and the loop that joins a group, fetches and processes deliveries, does the
maintenance and recovers from Redis errors."""

import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from redis.exceptions import RedisError

from avo_project.observability.sampler import Sampler
from avo_project.redis_client.errors import REDIS_FAILURES
from avo_project.runtime.heartbeat import Heartbeat
from avo_project.runtime.stop_flag import StopFlag
from signals_app.conf import MAX_BLOCK_MS, SignalsConf
from signals_app.domain.delivery import MAX_DELIVERIES, UnavailableError
from signals_app.domain.names import check_name, check_range
from signals_app.services.connection_loss import is_transient, reconnect_delay_seconds
from signals_app.services.handling import load_handler
from signals_app.services.ordered_source import OrderedSource
from signals_app.services.processor import Counters, Processor
from signals_app.services.source import DeliverySource, FetchOptions, Member, ReplayWindow
from signals_app.services.stop_deadline import StopDeadline, TimeIsUpError
from signals_app.store.group import ConsumerGroup, NameTakenError, ReplayGroups, is_group_missing
from signals_app.store.stream import SignalStream

logger = logging.getLogger(__name__)

_HEARTBEAT_SECONDS = 1.0
_MAINTENANCE_SECONDS = 5.0
_MAX_UNAVAILABLE_ATTEMPTS = 8  # about 7 s with the waits in between
_SLOTS = 256
_MAX_COUNT = 5_000
_MIN_BLOCK_MS = 100
_MAX_CLAIM_IDLE_MS = 86_400_000


class Maintenance:
    """Periodic maintenance: trims the stream, records drain rates, removes long expired consumers.

    Safe to run in any number of consumers at once: each task is one script. ``sample`` is called at every step.
    """

    def __init__(
        self,
        stream: SignalStream,
        group: ConsumerGroup,
        *,
        forget_consumer_after_ms: int,
        sample: Callable[[float], object] = lambda now: None,
    ) -> None:
        self._stream = stream
        self._group = group
        self._forget_consumer_after_ms = forget_consumer_after_ms
        self._sample = sample
        self._due = 0.0

    def step(self, now: float) -> bool:
        """Run the tasks if due. Returns whether they ran."""
        self._sample(now)
        if now < self._due:
            return False
        self._due = now + _MAINTENANCE_SECONDS
        self.run()
        return True

    def run(self) -> None:
        """Run all tasks now."""
        self._group.record_pace()
        if trimmed := self._stream.trim():
            logger.info("trimmed %d entries", trimmed)
        if removed := self._group.remove_idle_consumers(self._forget_consumer_after_ms):
            logger.info("removed consumers %s of group %s", ", ".join(removed), self._group.name)


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


@dataclass(frozen=True, slots=True)
class ConsumerOptions:
    """Options of ``consume_signals``. An empty ``consumer`` takes the first free slot of the host, an empty ``handler``
    that of the settings; ``ordered`` keeps the order within a symbol."""

    group: str
    consumer: str = ""
    count: int = 10
    block_ms: int = 1_000
    claim_idle_ms: int = 30_000
    max_deliveries: int | None = None
    handler: str = ""
    ordered: bool = False

    def check(self) -> None:
        """Raises ValueError with the option and its range."""
        check_range("--block-ms", self.block_ms, 0, MAX_BLOCK_MS)
        check_range("--count", self.count, 1, _MAX_COUNT)
        check_range("--claim-idle-ms", self.claim_idle_ms, 0, _MAX_CLAIM_IDLE_MS)
        if self.max_deliveries is not None:
            check_range("--max-deliveries", self.max_deliveries, 1, MAX_DELIVERIES)
        check_name("--group", self.group)
        if self.consumer:
            check_name("--consumer", self.consumer)

    @property
    def wait_ms(self) -> int:
        """Blocking time of a read, with a minimum so that an idle consumer does not poll Redis continuously."""
        return max(self.block_ms, _MIN_BLOCK_MS)

    def names(self) -> list[str]:
        """Candidate names in order of preference: slots of the host, so that restarts reuse names."""
        host = os.environ.get("HOSTNAME") or socket.gethostname()
        return [self.consumer] if self.consumer else [f"{host}-{slot}" for slot in range(_SLOTS)]


def assemble_consumer(options: ConsumerOptions, deadline: StopDeadline) -> Consumer:
    """Build a consumer that has not joined yet. Raises ValueError, ImportError or TypeError for invalid options."""
    conf = SignalsConf.load()
    options.check()
    handler = load_handler(options.handler or conf.handler)
    ttl_seconds = conf.heartbeat_ttl_ms / 1000
    group = ConsumerGroup.connect(options.group)
    member = Member(group, options.names(), stale_after_seconds=ttl_seconds / 2)
    fetch = FetchOptions(options.count, options.wait_ms, options.claim_idle_ms, grace_seconds=ttl_seconds)
    window = ReplayWindow(ReplayGroups.connect(), options.group)
    source = (OrderedSource if options.ordered else DeliverySource)(group, member, window, fetch)
    processor = Processor(
        group,
        member,
        handler,
        retry_policy=conf.retry_policy(options.max_deliveries),
        redeliver_at=source.redeliver_at,
        must_end=deadline.must_end,
    )
    maintenance = Maintenance(
        SignalStream.connect(),
        group,
        forget_consumer_after_ms=conf.forget_consumer_after_ms,
        sample=Sampler.of("signals").step,
    )
    return Consumer(group, member, source, processor, maintenance, name_timeout_seconds=2 * ttl_seconds + 2)
