"""Builds a consumer from the command line options and the settings."""

import os
import socket
from dataclasses import dataclass

from avo_project.observability.sampler import Sampler
from signals_app.conf import MAX_BLOCK_MS, SignalsConf
from signals_app.domain.names import check_name
from signals_app.domain.option_range import check_range
from signals_app.services.consumer import Consumer
from signals_app.services.handling import load_handler
from signals_app.services.maintenance import Maintenance
from signals_app.services.member import Member
from signals_app.services.ordered_source import OrderedSource
from signals_app.services.processor import Processor
from signals_app.services.replay import ReplayWindow
from signals_app.services.source import DeliverySource, FetchOptions
from signals_app.services.stop_deadline import StopDeadline
from signals_app.store.group import ConsumerGroup
from signals_app.store.replay_groups import ReplayGroups
from signals_app.store.stream import SignalStream

_SLOTS = 256
_MAX_COUNT = 5_000
_MIN_BLOCK_MS = 100
_MAX_CLAIM_IDLE_MS = 86_400_000
_MAX_DELIVERIES = 1_000_000


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
            check_range("--max-deliveries", self.max_deliveries, 1, _MAX_DELIVERIES)
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
