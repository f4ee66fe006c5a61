from typing import Any

import pytest

from avo_project.observability.timeseries import Sample, line
from tests.doubles import DownRedis, FixedClock
from throttling.services.samples import sample
from throttling.services.usage_recorder import UsageRecorder
from throttling.store.usage_stats import Busy, UsageStats


@pytest.fixture
def tally(redis_of: Any) -> UsageStats:
    return UsageStats(redis_of("throttling"))


def test_refusals_by_tier_and_minute(tally: UsageStats, clock: FixedClock) -> None:
    tally.add({}, {("free", "user:a"): 3}, clock() - 61 * 60)
    tally.add({}, {("free", "user:a"): 2, ("free", "user:b"): 3, ("pro", "user:c"): 1}, clock() - 60)
    tally.add({}, {("free", "user:b"): 2}, clock())
    assert tally.refusals(clock(), minutes=3) == {"free": [0, 5, 2], "pro": [0, 1, 0]}
    assert sum(tally.refusals(clock())["free"]) == 7


def test_the_busiest_first(tally: UsageStats, clock: FixedClock) -> None:
    tally.add({("free", "user:a"): 2, ("pro", "user:b"): 5}, {}, clock() - 300)
    tally.add({("free", "user:a"): 4}, {}, clock())
    assert tally.busiest(clock()) == [Busy("user:a", "free", 6), Busy("user:b", "pro", 5)]
    assert tally.busiest(clock(), count=1) == [Busy("user:a", "free", 6)]
    assert tally.busiest(clock() + 700) == []


def test_the_most_refused_first(tally: UsageStats, clock: FixedClock) -> None:
    tally.add({}, {("free", "user:a"): 2, ("pro", "user:b"): 5}, clock() - 300)
    tally.add({}, {("free", "user:a"): 4}, clock())
    assert tally.most_refused(clock()) == [Busy("user:a", "free", 6), Busy("user:b", "pro", 5)]
    assert tally.most_refused(clock() + 700) == []


def test_with_which_tier_a_subject_was_seen(tally: UsageStats, clock: FixedClock) -> None:
    tally.add({("pro", "user:b"): 1}, {}, clock())
    assert tally.seen_tier("user:b", ["free", "pro"], clock()) == "pro"
    assert tally.seen_tier("user:c", ["free", "pro"], clock()) is None


def test_figures_expire(tally: UsageStats, clock: FixedClock, redis_of: Any) -> None:
    tally.add({("pro", "user:b"): 1}, {("pro", "user:b"): 1}, clock())
    client = redis_of("throttling")
    assert all(client.ttl(key) > 0 for key in client.keys("*"))


def test_a_process_hands_its_figures_on(tally: UsageStats, clock: FixedClock) -> None:
    buffer = UsageRecorder(tally, pause_seconds=600, clock=clock)
    for number in range(5):
        buffer.count("free", "user:a", is_refused=number > 2)
    assert tally.busiest(clock()) == []
    buffer.flush()
    buffer.flush()
    assert tally.busiest(clock()) == [Busy("user:a", "free", 5)]
    assert tally.refusals(clock(), 1) == {"free": [2]}
    assert tally.most_refused(clock()) == [Busy("user:a", "free", 2)]


def test_what_redis_does_not_take_is_dropped(redis_of: Any, clock: FixedClock, caplog: Any) -> None:
    buffer = UsageRecorder(UsageStats(DownRedis(redis_of("throttling"), is_down=True)), pause_seconds=600, clock=clock)
    buffer.count("free", "user:a", is_refused=False)
    buffer.flush()
    assert "1 requests are lost" in caplog.text


def test_nothing_counts_without_a_pause(tally: UsageStats, clock: FixedClock) -> None:
    buffer = UsageRecorder(tally, pause_seconds=None, clock=clock)
    buffer.count("free", "user:a", is_refused=False)
    buffer.flush()
    assert tally.busiest(clock()) == []


def test_totals_tell_allowed_refused_and_what_was_judged_without_redis(
    tally: UsageStats, clock: FixedClock, redis_of: Any
) -> None:
    down = DownRedis(redis_of("throttling"), is_down=True)
    buffer = UsageRecorder(UsageStats(down), 1000.0, clock)
    buffer.count("pro", "user:a", is_refused=False)
    buffer.flush()
    down.is_down = False
    for is_refused in (True, False, False):
        buffer.count("free", "user:b", is_refused=is_refused)
    buffer.flush()
    assert tally.totals() == {"allowed|free": 2, "refused|free": 1, "degraded": 1}
    figures = {name: value for name, value in sample().items() if value}
    assert figures == {"allowed_total:free": 2, "refused_total:free": 1, "degraded_total": 1}


def test_the_charts_show_the_first_refusals_of_a_tier(tally: UsageStats, clock: FixedClock) -> None:
    samples = [Sample(0, sample())]
    tally.add({("pro", "user:a"): 34}, {("pro", "user:a"): 34}, clock())
    samples.append(Sample(10, sample()))
    assert line(samples, "refused_total:pro", [0, 10]) == [None, 3.4]
    assert line(samples, "allowed_total:bad_token", [0, 10]) == [None, 0.0]
