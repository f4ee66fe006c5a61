from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from signals_app import keys
from signals_app.domain.entry import LAST
from signals_app.store.dead_letters import DeadLetters
from signals_app.store.group import ConsumerGroup
from signals_app.store.stream import CheckpointMovedError, SignalStream, StreamExhaustedError, StreamFullError
from tests.signals_app.conftest import event, fields, go_back


def numbers(stream: SignalStream) -> list[int]:
    return [int(entry.fields[b"signal_id"].replace(b"-", b""), 16) for entry in stream.between("-", "+", 10_000)]


def fill(redis_client: Any, number: int) -> None:
    """Entries as a foreign client adds them."""
    with redis_client.pipeline(transaction=False) as pipeline:
        for one in range(number):
            pipeline.xadd(keys.LIVE, fields(one))
        pipeline.execute()


def test_published_events_get_their_ids_in_order(stream: SignalStream, redis_client: Any) -> None:
    published = stream.publish([event(1), event(2, extra={"desk": "é"})], publisher="p", batch=1)
    assert published.length == 2
    assert [entry.entry_id for entry in stream.between("-", "+", 10)] == published.entry_ids
    assert redis_client.xrange(keys.LIVE)[1][1][b"desk"].decode() == "é"
    assert 0 < redis_client.pttl(keys.receipt("p")) <= 600_000


def test_a_batch_whose_reply_was_lost_is_not_added_again(stream: SignalStream) -> None:
    first = stream.publish([event(1), event(2)], publisher="p", batch=1)
    again = stream.publish([event(1), event(2)], publisher="p", batch=1)
    assert again.entry_ids == first.entry_ids
    assert numbers(stream) == [1, 2]
    stream.publish([event(3)], publisher="p", batch=2)
    stream.publish([event(4)], publisher="other", batch=2)
    assert numbers(stream) == [1, 2, 3, 4]


def test_a_batch_that_arrives_after_its_successor_is_not_added(stream: SignalStream) -> None:
    for batch in (9, 10):
        stream.publish([event(batch)], publisher="p", batch=batch)
    with pytest.raises(CheckpointMovedError):
        stream.publish([event(9)], publisher="p", batch=9)
    assert numbers(stream) == [9, 10]


def test_at_the_hard_cap_nothing_of_the_batch_is_added(redis_client: Any) -> None:
    small = SignalStream(redis_client, soft_cap=1, hard_cap=3)
    small.publish([event(1), event(2)], publisher="p", batch=1)
    with pytest.raises(StreamFullError, match="holds 2 entries and may hold 3"):
        small.publish([event(3), event(4)], publisher="p", batch=2)
    assert numbers(small) == [1, 2]
    small.publish([event(3)], publisher="p", batch=2)
    assert numbers(small) == [1, 2, 3]


def test_a_mark_moves_with_its_batch_and_only_from_where_it_was(stream: SignalStream) -> None:
    assert stream.checkpoint("{signals:live}:m") == ""
    stream.publish_with_checkpoint([event(1)], key="{signals:live}:m", before="", checkpoint="a")
    with pytest.raises(CheckpointMovedError) as moved:
        stream.publish_with_checkpoint([event(2)], key="{signals:live}:m", before="", checkpoint="b")
    assert moved.value.checkpoint == "a" == stream.checkpoint("{signals:live}:m")
    stream.publish_with_checkpoint([event(1)], key="{signals:live}:m", before="", checkpoint="a")
    assert numbers(stream) == [1]


def test_nothing_is_trimmed_before_the_default_group_exists(stream: SignalStream, redis_client: Any) -> None:
    fill(redis_client, 1_500)
    assert stream.trim() == 0
    redis_client.xgroup_create(keys.LIVE, "other", id="$")
    assert stream.trim() == 0


def test_what_no_group_has_read_stays(stream: SignalStream, redis_client: Any, group: ConsumerGroup) -> None:
    fill(redis_client, 1_500)
    assert stream.length() > 1_000, "beyond the soft cap"
    assert stream.trim() == 0
    group.read("one", count=300, block_ms=0)
    assert stream.trim() == 0, "read, but not acknowledged"


def test_what_every_group_has_handled_goes_down_to_the_soft_cap(
    stream: SignalStream, redis_client: Any, group: ConsumerGroup
) -> None:
    fill(redis_client, 1_500)
    read = group.read("one", count=1_500, block_ms=0)
    group.acknowledge([delivery.entry_id for delivery in read])
    trimmed = stream.trim()
    assert 400 <= trimmed <= 500, "whole nodes of 100 entries"
    assert stream.length() == 1_500 - trimmed
    assert stream.trim() < 100


def test_the_slowest_group_holds_back_the_trim(stream: SignalStream, redis_client: Any, group: ConsumerGroup) -> None:
    fill(redis_client, 1_500)
    slow = ConsumerGroup(redis_client, "slow", heartbeat_ttl_ms=1_000)
    slow.make()
    group.acknowledge([delivery.entry_id for delivery in group.read("one", count=1_500, block_ms=0)])
    held = slow.read("one", count=250, block_ms=0)
    slow.acknowledge([delivery.entry_id for delivery in held if delivery is not held[220]])
    stream.trim()
    assert redis_client.xrange(keys.LIVE, held[220].entry_id, held[220].entry_id)
    assert 1_280 <= stream.length() < 1_400


def test_ids_beyond_what_a_double_can_tell_apart_are_ordered_exactly(stream: SignalStream, redis_client: Any) -> None:
    huge = 2**63
    for number in range(1_300):
        redis_client.xadd(keys.LIVE, fields(number), id=f"{huge}-{huge + number}")
    redis_client.xgroup_create(keys.LIVE, keys.DEFAULT_GROUP, id=f"{huge}-{huge + 150}")
    redis_client.xgroup_create(keys.LIVE, "other", id=f"{huge}-{huge + 1_200}")
    stream.trim()
    first = stream.between("-", "+", 1)[0].entry_id
    assert huge <= int(first.split("-")[1]) <= huge + 150


def test_newest_first_pages_backwards(stream: SignalStream) -> None:
    published = stream.publish([event(number) for number in range(5)], publisher="p", batch=1)
    newest = stream.newest_first(before=None, count=2)
    assert [entry.entry_id for entry in newest] == published.entry_ids[:2:-1]
    older = stream.newest_first(before=newest[-1].entry_id, count=10)
    assert [entry.entry_id for entry in older] == published.entry_ids[2::-1]


def test_groups_are_named_whatever_their_bytes_are(
    redis_client: Any, stream: SignalStream, group: ConsumerGroup
) -> None:
    redis_client.xgroup_create(keys.LIVE, b"\xff\xfe", id="0")
    assert sorted(stream.groups()) == [("\\xff\\xfe", "0-0"), ("apex-group", "0-0")]


@pytest.mark.real_server
def test_a_stream_without_a_free_id_is_named_and_can_be_repaired(
    redis_client: Any, stream: SignalStream, group: ConsumerGroup
) -> None:
    [kept] = stream.publish([event(1)], publisher="p", batch=1).entry_ids
    redis_client.xadd(keys.LIVE, fields(2), id=LAST)
    letter_id = redis_client.xadd(keys.DEAD, fields(3) | {"dead_reason": "x"})
    assert len(group.read("one", count=10, block_ms=0)) == 2
    with pytest.raises(StreamExhaustedError, match="Publishers refused") as exhausted:
        stream.publish([event(4)], publisher="p", batch=2)
    assert exhausted.value.room == 0
    with pytest.raises(StreamExhaustedError):
        DeadLetters(redis_client, hard_cap=100).redrive(letter_id.decode())
    with pytest.raises(CommandError, match="holds the last possible entry id, publishers are refused"):
        call_command("signal_lag", stdout=StringIO())

    go_back(redis_client, kept)
    stream.publish([event(4)], publisher="p", batch=2)
    assert numbers(stream) == [1, 4]
    assert len(group.read("one", count=10, block_ms=0)) == 1
