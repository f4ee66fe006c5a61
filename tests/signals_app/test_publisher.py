from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from signals_app import keys
from signals_app.services.publisher import Publisher
from signals_app.store.group import ConsumerGroup
from signals_app.store.stream import NotReplicatedError, SignalStream, StreamFullError
from tests.doubles import FixedClock
from tests.signals_app.conftest import event, ids, no_pause


def test_events_are_published_in_batches_with_their_ids(stream: SignalStream) -> None:
    publisher = Publisher(stream, soft_cap=1_000, batch_size=10, pause=no_pause)
    batches = list(publisher.publish(event(number) for number in range(25)))
    assert [len(batch) for batch in batches] == [10, 10, 5]
    assert [entry.entry_id for entry in stream.between("-", "+", 100)] == [*batches[0], *batches[1], *batches[2]]


def test_the_default_group_is_made_before_the_first_event(
    stream: SignalStream, group: ConsumerGroup, redis_client: Any
) -> None:
    redis_client.flushall()
    Publisher(stream, soft_cap=1_000, pause=no_pause).publish_batch([event(1)])
    assert len(group.read("one", count=10, block_ms=0)) == 1


def test_the_stream_is_trimmed_on_the_way_but_never_what_is_unread(stream: SignalStream, group: ConsumerGroup) -> None:
    publisher = Publisher(stream, soft_cap=1_000, batch_size=500, pause=no_pause)
    for _ in publisher.publish(event(number) for number in range(2_000)):
        pass
    assert stream.length() == 2_000
    with pytest.raises(StreamFullError):
        publisher.publish_batch([event(9_999)])
    group.acknowledge(ids(group.read("one", count=2_000, block_ms=0)))
    publisher.publish_batch([event(9_999)])
    assert 1_000 < stream.length() < 1_200, "it made room for itself"


class LosesReplies(SignalStream):
    """Runs the batch, and then the connection is gone."""

    def publish(self, *args: Any, **kwargs: Any) -> Any:
        published = super().publish(*args, **kwargs)
        if not getattr(self, "has_lost_one", False):
            self.has_lost_one = True
            raise RedisConnectionError("gone")
        return published


def test_a_batch_is_tried_again_and_added_once(redis_client: Any) -> None:
    stream, pauses = LosesReplies(redis_client, soft_cap=10, hard_cap=100), list[float]()
    publisher = Publisher(stream, soft_cap=10, pause=pauses.append)
    entry_ids = publisher.publish_batch([event(1), event(2)])
    assert [entry.entry_id for entry in stream.between("-", "+", 10)] == entry_ids
    assert pauses == [0.1]


def test_redis_unavailable_for_too_long_is_an_error(redis_client: Any, clock: FixedClock) -> None:
    class Gone(SignalStream):
        def make_default_group(self) -> None:
            raise RedisConnectionError("gone")

    publisher = Publisher(Gone(redis_client, soft_cap=10, hard_cap=100), soft_cap=10, pause=clock.advance, clock=clock)
    with pytest.raises(RedisConnectionError):
        publisher.publish_batch([event(1)])
    assert clock.now - FixedClock.now == pytest.approx(31, abs=2)
    assert redis_client.exists(keys.LIVE) == 0


@pytest.mark.real_server
def test_a_batch_without_enough_replicas_is_not_acknowledged(
    redis_client: Any, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is on the primary, once, however often it was tried."""
    monkeypatch.setattr("signals_app.store.stream._WAIT_MS", 1)
    stream = SignalStream(redis_client, soft_cap=10, hard_cap=100, wait_replicas=1)
    publisher = Publisher(stream, soft_cap=10, pause=clock.advance, clock=clock)
    with pytest.raises(NotReplicatedError, match="but 0 of 1 replicas"):
        publisher.publish_batch([event(1), event(2)])
    assert clock.now - FixedClock.now == pytest.approx(31, abs=2)
    assert stream.length() == 2


def test_at_the_hard_cap_what_fits_is_published(stream: SignalStream, group: ConsumerGroup) -> None:
    publisher = Publisher(stream, soft_cap=1_000, batch_size=500, pause=no_pause)
    stream.publish([event(5_000)], publisher="another", batch=1)
    with pytest.raises(StreamFullError) as full:
        list(publisher.publish(event(number) for number in range(2_700)))
    assert (stream.length(), full.value.room) == (2_000, 0)
    assert [entry.fields[b"signal_id"].decode() for entry in stream.newest_first(before=None, count=1)] == [
        event(1_998).signal_id
    ]
    with pytest.raises(StreamFullError):
        next(publisher.publish([event(1)]))


def test_a_concurrent_publisher_only_makes_the_batch_smaller(redis_client: Any) -> None:
    class Contended(SignalStream):
        def publish(self, events: Any, **named: Any) -> Any:
            if named["publisher"] != "rival" and len(events) < 500:
                super().publish([event(7_000)], publisher="rival", batch=self.length() + 1)
            return super().publish(events, **named)

    stream = Contended(redis_client, soft_cap=10, hard_cap=90)
    with pytest.raises(StreamFullError):
        list(
            Publisher(stream, soft_cap=10, batch_size=500, pause=no_pause).publish(
                event(number) for number in range(500)
            )
        )
    assert stream.length() == 90
