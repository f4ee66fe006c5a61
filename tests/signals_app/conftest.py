"""Building blocks for the tests of the signals role."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection

from signals_app import keys
from signals_app.domain.delivery import Delivery, Handled, RetryPolicy
from signals_app.domain.entry import LAST
from signals_app.domain.event import Event
from signals_app.models import Execution
from signals_app.services.consumer import Consumer, Maintenance
from signals_app.services.handling import LoadedHandler
from signals_app.services.ordered_source import OrderedSource
from signals_app.services.processor import Processor
from signals_app.services.source import DeliverySource, FetchOptions, Member, ReplayWindow
from signals_app.store.group import ConsumerGroup, ReplayGroups
from signals_app.store.stream import SignalStream
from tests.doubles import FixedClock


def event(number: int = 0, **changes: Any) -> Event:
    """The same number always gives the same ``signal_id``."""
    known: dict[str, Any] = {
        "signal_id": str(uuid.UUID(int=number)),
        "symbol": "AAPL",
        "direction": "long",
        "confidence": 0.5,
    }
    return Event(**(known | changes))


def number_of(one: Event) -> int:
    return uuid.UUID(one.signal_id).int


def fields(number: int = 0, **changes: str) -> dict[str, str]:
    """The fields of an entry as a foreign client would add them."""
    known = {"signal_id": str(uuid.UUID(int=number)), "symbol": "AAPL", "direction": "long", "confidence": "0.5"}
    return known | changes


def go_back(redis_client: Any, kept: str) -> None:
    """What "Publishers refused" in docs/operations.md says about the last possible entry id."""
    redis_client.xdel(keys.LIVE, LAST)
    added = redis_client.xinfo_stream(keys.LIVE)["entries-added"]
    redis_client.execute_command("XSETID", keys.LIVE, LAST, "ENTRIESADDED", added, "MAXDELETEDID", kept)
    redis_client.execute_command("XSETID", keys.LIVE, kept)
    for group in redis_client.xinfo_groups(keys.LIVE):
        redis_client.xgroup_setid(keys.LIVE, group["name"], kept)


@pytest.fixture
def redis_client(redis_of: Any) -> Any:
    return redis_of("signals")


@pytest.fixture
def stream(redis_client: Any) -> SignalStream:
    return SignalStream(redis_client, soft_cap=1_000, hard_cap=2_000)


@pytest.fixture
def group(redis_client: Any) -> ConsumerGroup:
    """The default group, made, with heartbeats that last for a minute."""
    made = ConsumerGroup(redis_client, keys.DEFAULT_GROUP, heartbeat_ttl_ms=60_000)
    made.make()
    return made


@pytest.fixture
def expiring_group(redis_client: Any, group: ConsumerGroup) -> ConsumerGroup:
    """The same group seen by a process whose heartbeats are over at once."""
    return ConsumerGroup(redis_client, keys.DEFAULT_GROUP, heartbeat_ttl_ms=0)


@dataclass
class RecordingHandler:
    """Keeps what it was handed; ``fails`` decides by event what is raised."""

    takes_batch: bool = True

    def __post_init__(self) -> None:
        self.batches: list[list[int]] = []
        self.fails: Callable[[Event], Exception | None] = lambda event: None

    @property
    def handled(self) -> list[int]:
        return [number for batch in self.batches for number in batch]

    def __call__(self, given: Any) -> Handled:
        events: Sequence[Event] = given if self.takes_batch else [given]
        self.batches.append([number_of(one) for one in events])
        for one in events:
            if failure := self.fails(one):
                raise failure
        return Handled(len(events))

    def loaded(self) -> LoadedHandler:
        return LoadedHandler(self.takes_batch, self)


@pytest.fixture
def handler() -> RecordingHandler:
    return RecordingHandler()


@dataclass
class ConsumerHarness:
    """One consumer with its parts in reach."""

    consumer: Consumer
    member: Member
    source: DeliverySource
    processor: Processor
    clock: FixedClock

    def step(self) -> Any:
        return self.consumer.step(self.clock())

    def drain(self, most_steps: int = 100) -> None:
        """Steps until nothing is left for the group."""
        for _ in range(most_steps):
            if self.step().is_idle:
                return
            self.clock.advance(1)
        raise AssertionError("there is always something left")


@pytest.fixture
def harness(
    redis_client: Any, group: ConsumerGroup, stream: SignalStream, handler: RecordingHandler
) -> Callable[..., ConsumerHarness]:
    """Builds a consumer of the default group that never blocks; by default it claims at once."""

    def build(
        name: str = "one",
        *,
        with_handler: Any = None,
        in_group: ConsumerGroup = group,
        via: Any = redis_client,
        ordered: bool = False,
        **options: Any,
    ) -> ConsumerHarness:
        clock = FixedClock()
        names = options.pop("names", [name])
        retry_policy = RetryPolicy(options.pop("max_deliveries", 5))
        must_end = options.pop("must_end", lambda: False)
        member = Member(in_group, names, stale_after_seconds=30, clock=clock)
        options = FetchOptions(**({"count": 10, "block_ms": 0, "claim_idle_ms": 0, "grace_seconds": 5} | options))
        window = ReplayWindow(ReplayGroups(via), in_group.name)
        source = (OrderedSource if ordered else DeliverySource)(in_group, member, window, options)
        processor = Processor(
            in_group,
            member,
            (with_handler or handler).loaded(),
            retry_policy=retry_policy,
            redeliver_at=source.redeliver_at,
            must_end=must_end,
            clock=clock,
        )
        trimmed = SignalStream(via, soft_cap=1_000, hard_cap=2_000)
        maintenance = Maintenance(trimmed, in_group, forget_consumer_after_ms=3_600_000)
        consumer = Consumer(in_group, member, source, processor, maintenance, clock=clock)
        return ConsumerHarness(consumer, member, source, processor, clock)

    return build


@pytest.fixture
def executions_missing(db: None) -> Callable[[], AbstractContextManager[None]]:
    """Takes the table of executions away for the time of the block: a database that nobody has migrated."""

    @contextmanager
    def missing() -> Iterator[None]:
        table, hidden = Execution._meta.db_table, "signals_app_hidden"
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} RENAME TO {hidden}")
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute(f"ALTER TABLE {hidden} RENAME TO {table}")

    return missing


def ids(deliveries: Sequence[Delivery]) -> list[str]:
    return [delivery.entry_id for delivery in deliveries]


def no_pause(seconds: float) -> None:
    """For a publisher that has nothing to wait for."""
    raise AssertionError(f"it would have waited for {seconds} s")
