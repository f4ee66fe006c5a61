from typing import Any

from signals_app import keys
from signals_app.metrics import live_metrics
from signals_app.store.group import ConsumerGroup
from signals_app.store.stream import SignalStream
from tests.signals_app.conftest import event


def samples() -> dict[str, float]:
    return {
        sample.name + "".join(sample.labels.values()): sample.value
        for metric in live_metrics()
        for sample in metric.samples
    }


def test_an_empty_stream_has_its_length_and_no_groups(redis_client: Any) -> None:
    assert samples() == {"avo_signals_length": 0, "avo_signals_dead_letters": 0}


def test_every_group_has_its_gauges(stream: SignalStream, group: ConsumerGroup) -> None:
    stream.publish([event(number) for number in range(3)], publisher="p", batch=1)
    group.acquire_name(["one"], "token")
    group.read("one", count=1, block_ms=0)
    now = samples()
    name = keys.DEFAULT_GROUP
    assert now["avo_signals_length"] == 3
    assert (now[f"avo_signals_pending{name}"], now[f"avo_signals_lag{name}"]) == (1, 2)
    assert now[f"avo_signals_consumers_alive{name}"] == 1
    assert 0 <= now[f"avo_signals_oldest_pending_seconds{name}"] < 60
    assert 0 <= now[f"avo_signals_oldest_undelivered_seconds{name}"] < 60


def test_groups_whose_names_are_not_utf8_are_distinguished(redis_client: Any, group: ConsumerGroup) -> None:
    for name in (b"\xff", b"\xfe"):
        redis_client.xgroup_create(keys.LIVE, name, id="0")
    now = samples()
    assert {name for name in now if "pending\\" in name} == {"avo_signals_pending\\xfe", "avo_signals_pending\\xff"}


def test_they_are_on_the_metrics_page(redis_client: Any, group: ConsumerGroup, db: None) -> None:
    from django.test import Client

    page = Client().get("/metrics", HTTP_HOST="localhost").content.decode()
    assert 'avo_signals_pending{group="apex-group"} 0.0' in page


def test_a_group_of_another_program_has_no_count_of_heartbeats(redis_client: Any, group: ConsumerGroup) -> None:
    redis_client.xgroup_create(keys.LIVE, "desk", id="0")
    now = samples()
    assert now["avo_signals_consumers_aliveapex-group"] == 0
    assert "avo_signals_consumers_alivedesk" not in now
    assert now["avo_signals_pendingdesk"] == 0


def test_a_stopped_group_counts_no_consumer_and_a_finished_one_no_entries(
    redis_client: Any, stream: SignalStream
) -> None:
    """``AvoConsumersDead`` tells a group that has stopped from a replay that is done by these three figures."""
    stream.publish([event(1)], publisher="p", batch=1)
    for name in ("desk", "replay"):
        group = ConsumerGroup(redis_client, name, heartbeat_ttl_ms=0)
        group.make()
        group.acquire_name(["one"], "token")
    redis_client.xgroup_setid(keys.LIVE, "replay", "18446744073709551615-0")
    now = samples()
    assert [now[f"avo_signals_{name}desk"] for name in ("consumers_alive", "pending", "lag")] == [0, 0, 1]
    assert [now[f"avo_signals_{name}replay"] for name in ("consumers_alive", "pending", "lag")] == [0, 0, 0]
