"""Transient errors are waited for, against a server that refuses writes."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import exceptions
from redis.exceptions import RedisError, ResponseError

from signals_app import keys
from signals_app.services.connection_loss import is_transient
from signals_app.services.publisher import Publisher
from signals_app.store.stream import SignalStream
from tests.doubles import FixedClock
from tests.signals_app.conftest import ConsumerHarness, RecordingHandler, event, fields

SetWritable = Callable[[bool], object]


@pytest.mark.parametrize(
    "failure",
    [
        ResponseError("MISCONF Redis is configured to save RDB snapshots, but it's unable to persist to disk"),
        ResponseError("NOREPLICAS Not enough good replicas to write."),
        ResponseError("BUSY Redis is busy running a script."),
        exceptions.BusyLoadingError("Redis is loading the dataset in memory"),
        exceptions.MasterDownError("Link with MASTER is down"),
        exceptions.ClusterDownError("The cluster is down"),
        exceptions.TryAgainError("Multiple keys request during rehashing of slot"),
        exceptions.ReadOnlyError("You can't write against a read only replica."),
        exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
        exceptions.ConnectionError("refused"),
        exceptions.TimeoutError("too late"),
    ],
)
def test_transient_errors(failure: RedisError) -> None:
    assert is_transient(failure)


@pytest.mark.parametrize(
    "failure",
    [
        exceptions.NoPermissionError("this user has no permissions to run the 'xadd' command"),
        ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
        ResponseError("wrong number of arguments for 'xadd' command"),
        ResponseError("BUSYGROUP Consumer Group name already exists"),
    ],
)
def test_permanent_errors(failure: RedisError) -> None:
    assert not is_transient(failure)


@pytest.fixture
def set_writable(redis_client: Any) -> Iterator[SetWritable]:
    """Lets the server accept writes, or refuse them with NOREPLICAS."""

    def set_writable(may_write: bool) -> None:
        redis_client.config_set("min-replicas-to-write", 0 if may_write else 1)

    yield set_writable
    set_writable(True)


@pytest.mark.real_server
def test_the_publisher_waits_for_writes_and_adds_each_event_once(
    redis_client: Any, stream: SignalStream, set_writable: SetWritable
) -> None:
    set_writable(False)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        set_writable(len(pauses) == 3)

    publisher = Publisher(stream, soft_cap=1_000, pause=pause)
    published = publisher.publish_batch([event(1), event(2)])
    assert pauses == [0.1, 0.2, 0.4]
    assert [entry.entry_id for entry in stream.between("-", "+", 10)] == published


@pytest.mark.real_server
def test_the_publisher_fails_after_its_retry_timeout(
    redis_client: Any, stream: SignalStream, clock: FixedClock, set_writable: SetWritable
) -> None:
    set_writable(False)
    publisher = Publisher(stream, soft_cap=1_000, pause=clock.advance, clock=clock)
    with pytest.raises(ResponseError, match="NOREPLICAS"):
        publisher.publish_batch([event(1)])
    assert clock.now - FixedClock.now == pytest.approx(31, abs=2)


@pytest.mark.real_server
def test_the_consumer_waits_for_writes_and_resumes(
    redis_client: Any, harness: Callable[..., ConsumerHarness], handler: RecordingHandler, set_writable: SetWritable
) -> None:
    one = harness()
    one.step()
    for number in range(15):
        redis_client.xadd(keys.LIVE, fields(number))
    one.step()
    set_writable(False)
    assert [one.step().wait_seconds for _ in range(3)] == [0.1, 0.2, 0.4]
    set_writable(True)
    one.drain()
    assert handler.handled == list(range(15))
    assert redis_client.xpending(keys.LIVE, keys.DEFAULT_GROUP)["pending"] == 0
