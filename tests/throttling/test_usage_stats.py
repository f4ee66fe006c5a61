from typing import Any

import pytest

from avo_project.observability.timeseries import Sample, line
from tests.doubles import DownRedis, FixedClock
from throttling.services.samples import sample
from throttling.services.usage_recorder import UsageRecorder
from throttling.store.usage_stats import Busy, UsageStats


@pytest.fixture
def usage(redis_of: Any) -> UsageStats:
    return UsageStats(redis_of("throttling"))


def test_rejections_by_tier_and_minute(usage: UsageStats, clock: FixedClock) -> None:
    usage.add({}, {("free", "user:a"): 3}, clock() - 61 * 60)
    usage.add({}, {("free", "user:a"): 2, ("free", "user:b"): 3, ("pro", "user:c"): 1}, clock() - 60)
    usage.add({}, {("free", "user:b"): 2}, clock())
    assert usage.rejections(clock(), minutes=3) == {"free": [0, 5, 2], "pro": [0, 1, 0]}
    assert sum(usage.rejections(clock())["free"]) == 7


def test_the_busiest_first(usage: UsageStats, clock: FixedClock) -> None:
    usage.add({("free", "user:a"): 2, ("pro", "user:b"): 5}, {}, clock() - 300)
    usage.add({("free", "user:a"): 4}, {}, clock())
    assert usage.busiest(clock()) == [Busy("user:a", "free", 6), Busy("user:b", "pro", 5)]
    assert usage.busiest(clock(), count=1) == [Busy("user:a", "free", 6)]
    assert usage.busiest(clock() + 700) == []


def test_the_most_rejected_first(usage: UsageStats, clock: FixedClock) -> None:
    usage.add({}, {("free", "user:a"): 2, ("pro", "user:b"): 5}, clock() - 300)
    usage.add({}, {("free", "user:a"): 4}, clock())
    assert usage.most_rejected(clock()) == [Busy("user:a", "free", 6), Busy("user:b", "pro", 5)]
    assert usage.most_rejected(clock() + 700) == []


def test_with_which_tier_a_subject_was_seen(usage: UsageStats, clock: FixedClock) -> None:
    usage.add({("pro", "user:b"): 1}, {}, clock())
    assert usage.seen_tier("user:b", ["free", "pro"], clock()) == "pro"
    assert usage.seen_tier("user:c", ["free", "pro"], clock()) is None


def test_figures_expire(usage: UsageStats, clock: FixedClock, redis_of: Any) -> None:
    usage.add({("pro", "user:b"): 1}, {("pro", "user:b"): 1}, clock())
    client = redis_of("throttling")
    assert all(client.ttl(key) > 0 for key in client.keys("*"))


def test_a_process_hands_its_figures_on(usage: UsageStats, clock: FixedClock) -> None:
    recorder = UsageRecorder(usage, pause_seconds=600, clock=clock)
    for number in range(5):
        recorder.count("free", "user:a", is_rejected=number > 2)
    assert usage.busiest(clock()) == []
    recorder.flush()
    recorder.flush()
    assert usage.busiest(clock()) == [Busy("user:a", "free", 5)]
    assert usage.rejections(clock(), 1) == {"free": [2]}
    assert usage.most_rejected(clock()) == [Busy("user:a", "free", 2)]


def test_what_redis_does_not_take_is_dropped(redis_of: Any, clock: FixedClock, caplog: Any) -> None:
    recorder = UsageRecorder(
        UsageStats(DownRedis(redis_of("throttling"), is_down=True)), pause_seconds=600, clock=clock
    )
    recorder.count("free", "user:a", is_rejected=False)
    recorder.flush()
    assert "usage of 1 requests, dropping it" in caplog.text


def test_nothing_counts_without_a_pause(usage: UsageStats, clock: FixedClock) -> None:
    recorder = UsageRecorder(usage, pause_seconds=None, clock=clock)
    recorder.count("free", "user:a", is_rejected=False)
    recorder.flush()
    assert usage.busiest(clock()) == []


def test_totals_count_allowed_rejected_and_degraded(usage: UsageStats, clock: FixedClock, redis_of: Any) -> None:
    down = DownRedis(redis_of("throttling"), is_down=True)
    recorder = UsageRecorder(UsageStats(down), 1000.0, clock)
    recorder.count("pro", "user:a", is_rejected=False)
    recorder.flush()
    down.is_down = False
    for is_rejected in (True, False, False):
        recorder.count("free", "user:b", is_rejected=is_rejected)
    recorder.flush()
    assert usage.totals() == {"allowed|free": 2, "refused|free": 1, "degraded": 1}
    figures = {name: value for name, value in sample().items() if value}
    assert figures == {"allowed_total:free": 2, "refused_total:free": 1, "degraded_total": 1}


def test_the_charts_show_the_first_rejections_of_a_tier(usage: UsageStats, clock: FixedClock) -> None:
    samples = [Sample(0, sample())]
    usage.add({("pro", "user:a"): 34}, {("pro", "user:a"): 34}, clock())
    samples.append(Sample(10, sample()))
    assert line(samples, "refused_total:pro", [0, 10]) == [None, 3.4]
    assert line(samples, "allowed_total:bad_token", [0, 10]) == [None, 0.0]
