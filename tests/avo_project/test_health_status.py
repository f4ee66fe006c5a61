"""Health status of each role: level, key figure, message."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from avo_project.console.registry import HealthStatus, Level, consoles
from avo_project.observability.sampler import Sampler
from outreach.models import Inbox, Touch
from regime.store.state_cache import StateCache
from signals_app.domain.entry import LAST
from signals_app.store.group import ConsumerGroup
from signals_app.store.stream import SignalStream
from tests.regime.states import a_state
from throttling.store.usage_stats import UsageStats

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_of")]


def health_of(role: str) -> HealthStatus:
    return consoles([role])[0].health(time.time())


class TestRegime:
    @pytest.fixture
    def after_a_cycle(self, redis_of: Any) -> Any:
        from regime.services.cycle import Cycle

        Cycle.connect(time.time).write([a_state(f"S{n}", time.time()) for n in range(20)])
        return redis_of("regime")

    def test_green_with_an_expiry_everywhere_and_a_young_cycle(self, after_a_cycle: Any) -> None:
        Sampler.of("regime").step(0.0)
        status = health_of("regime")
        assert (status.level, status.figure) == (Level.GREEN, "0 keys without TTL, last cycle 0 s ago")

    def test_amber_when_an_expiry_was_forgotten(self, after_a_cycle: Any) -> None:
        for n in range(20):
            after_a_cycle.persist(f"argus:regime:S{n}")
        Sampler.of("regime").step(0.0)
        status = health_of("regime")
        assert status.level is Level.AMBER
        assert "Run the TTL backfill" in status.message

    def test_amber_when_nobody_counts(self, after_a_cycle: Any) -> None:
        status = health_of("regime")
        assert (status.level, status.figure[:34]) == (Level.AMBER, "keys without TTL not counted latel")

    def test_red_when_every_state_has_died(self, after_a_cycle: Any) -> None:
        after_a_cycle.hset("avo:{regime}:pointer", "cycle_ended_at", time.time() - 25 * 3600)
        Sampler.of("regime").step(0.0)
        assert health_of("regime") == HealthStatus(
            Level.RED, "0 keys without TTL, last cycle 1 d 1 h ago",
            "All states of the last cycle have expired. Check that the pipeline runs.",
        )  # fmt: skip

    def test_a_state_is_explained_by_the_rules_of_freshness(self, redis_of: Any) -> None:
        list(StateCache.connect().put_many([a_state("AAPL", time.time() - 3600)]))
        redis_of("regime").hset("argus:regime:OLD", mapping={"bull:1mo": "0.5", "computed_at": time.time() - 90_000})
        redis_of("regime").hset("argus:regime:BARE", "bull:1mo", "0.5")
        explain = consoles(["regime"])[0].explain
        headlines = {of: next(iter(explain(of, bool))).headline for of in ("aapl", "OLD", "BARE", "symbol:NONE")}
        assert headlines == {
            "aapl": "is served as current",
            "OLD": "is not served as current: expired",
            "BARE": "is not served as current: unknown age",
            "symbol:NONE": "no state is stored, so the API answers 404",
        }
        assert list(explain("NONE", bool)) == []
        assert list(explain("no symbol", bool)) == []


class TestSignals:
    def test_amber_before_anything_and_red_without_a_living_consumer(self) -> None:
        assert health_of("signals").figure == "no group yet"
        ConsumerGroup.connect("apex-group").make()
        assert health_of("signals").figure == "0 consumers, nothing undelivered"
        SignalStream.connect()._client.xadd("signals:live", {"signal_id": "x"})
        status = health_of("signals")
        assert status.level is Level.RED
        assert "start consume_signals" in status.message

    def test_green_when_a_living_consumer_has_nothing_old(self) -> None:
        group = ConsumerGroup.connect("apex-group")
        group.make()
        group.acquire_name(["one"], "token")
        assert health_of("signals") == HealthStatus(
            Level.GREEN, "1 consumer, nothing undelivered", "Events are handled as they arrive."
        )

    def test_red_with_the_name_of_who_died_then_amber_with_who_took_over(self, redis_of: Any) -> None:
        redis = redis_of("signals")
        dying = ConsumerGroup(redis, "apex-group", heartbeat_ttl_ms=0)
        dying.make()
        dying.acquire_name(["one"], "old")
        for _ in range(3):
            redis.xadd("signals:live", {"signal_id": "x"})
        held = [one.entry_id for one in dying.read("one", count=2, block_ms=0)]
        status = health_of("signals")
        assert status.level is Level.RED
        assert "apex-group has waiting entries and no live consumer; one expired" in status.message
        assert "holding 2 entries; not taken over yet: start consume_signals." in status.message
        group = ConsumerGroup.connect("apex-group")
        group.acquire_name(["one"], "new")
        group.acknowledge([*held, *(one.entry_id for one in group.read("one", count=2, block_ms=0))])
        status = health_of("signals")
        assert (status.level, status.figure) == (Level.AMBER, "1 consumer, nothing undelivered")
        assert "holding 2 entries; taken over by a new one" in status.message
        redis.hset("{signals:live}:members", "apex-group one died", "1000 2 5000 one")
        assert health_of("signals").level is Level.GREEN, "that was long ago"

    def test_a_group_without_our_heartbeat_is_judged_by_lag_and_age_alone(self, redis_of: Any) -> None:
        redis = redis_of("signals")
        old = (int(time.time()) - 59) * 1000
        redis.xadd("signals:live", {"signal_id": "x"}, id=f"{old}-0")
        redis.xgroup_create("signals:live", "desk", id="0")
        redis.xreadgroup("desk", "node-1", {"signals:live": ">"})
        assert health_of("signals").level is Level.GREEN
        redis.delete("signals:live")
        redis.xadd("signals:live", {"signal_id": "x"}, id=f"{old - 60_000}-0")
        redis.xgroup_create("signals:live", "desk", id="0")
        status = health_of("signals")
        assert status.level is Level.AMBER
        assert status.message.startswith("desk is ")

    def test_the_name_of_a_group_decides_nothing(self, redis_of: Any) -> None:
        group = ConsumerGroup.connect("full")
        group.make()
        group.acquire_name(["one"], "token")
        redis = redis_of("signals")
        for _ in range(1_001):
            redis.xadd("signals:live", {"signal_id": "x"})
        group.read("one", count=2_000, block_ms=0)
        status = health_of("signals")
        assert (status.level, status.message) == (Level.AMBER, "full: 1001 pending, 1000 at most.")

    def test_a_stream_without_a_free_id_is_red(self, redis_of: Any) -> None:
        redis = redis_of("signals")
        redis.xgroup_create("signals:live", "apex-group", id="$", mkstream=True)
        redis.xadd("signals:live", {"signal_id": "x"}, id=LAST)
        redis.xgroup_setid("signals:live", "apex-group", LAST)
        assert health_of("signals").level is Level.RED


class TestOutreach:
    @pytest.fixture
    def queued(self, redis_of: Any, django_capture_on_commit_callbacks: Any) -> Touch:
        from outreach.services.intake import Intake

        Inbox.objects.create(address="anna@example.com")
        draft = {"inbox": "anna@example.com", "recipient": "eve@example.org", "subject": "s", "body": "b"}
        with django_capture_on_commit_callbacks(execute=True):
            accepted = Intake.connect(time.time).accept(draft)
        return Touch.objects.get(pk=accepted.touch_id)

    def test_amber_without_worker_and_touches_red_with_touches(self, redis_of: Any) -> None:
        assert health_of("outreach").level is Level.AMBER

    def test_red_when_touches_could_go_and_nobody_sends(self, queued: Touch, redis_of: Any) -> None:
        redis_of("outreach").set("{outreach}:intact", 1)
        status = health_of("outreach")
        assert (status.level, status.figure) == (Level.RED, "1 to send, 0 in flight, 0 workers")
        assert "no worker is active" in status.message

    def test_red_when_the_queue_was_lost(self, queued: Touch, redis_of: Any) -> None:
        redis_of("outreach").flushall()
        assert "Redis lost the queue" in health_of("outreach").message

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            (lambda: Touch.objects.update(status="unknown"), "1 touches may have been delivered"),
            (lambda: Inbox.objects.update(paused=True), "Paused with touches to send: anna@example.com."),
        ],
    )
    def test_amber_when_something_waits_for_a_person(
        self, queued: Touch, redis_of: Any, change: Callable[[], object], why: str
    ) -> None:
        redis = redis_of("outreach")
        now_ms = int(time.time() * 1000)
        redis.set("{outreach}:intact", 1)
        redis.zadd("{outreach}:workers", {"w1": now_ms})
        assert health_of("outreach").level is Level.GREEN
        change()
        status = health_of("outreach")
        assert status.level is Level.AMBER
        assert why in status.message


class TestThrottling:
    def test_amber_when_many_are_refused_and_names_who(self) -> None:
        assert health_of("throttling").level is Level.GREEN
        UsageStats.connect().add({("free", "user:user_a"): 100}, {("free", "user:user_a"): 3}, time.time())
        status = health_of("throttling")
        assert (status.level, status.figure) == (Level.GREEN, "3 rejected recently")
        UsageStats.connect().add({("free", "user:user_a"): 100}, {("free", "user:user_b"): 90}, time.time())
        status = health_of("throttling")
        assert status.level is Level.AMBER
        assert status.message == "Most rejections: user:user_b, tier free."
        assert status.link == "?subject=user%3Auser_b#subject"
