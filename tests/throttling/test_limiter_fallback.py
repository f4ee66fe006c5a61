from dataclasses import replace
from typing import Any

import pytest

from tests.doubles import DownRedis, FixedClock
from throttling.conf import ThrottlingConf
from throttling.domain.policies import Hit, Outcome, WindowStats, parse_policies
from throttling.services.answers import limit_field
from throttling.services.callers import Quotas
from throttling.services.overrides import Overrides
from throttling.services.rate_limiter import RateLimiter, RejectionMemo
from throttling.services.usage_recorder import UsageRecorder
from throttling.store.usage_stats import UsageStats
from throttling.store.window_limiter import WindowLimiter

HIT = Hit("user:a", parse_policies("3/min"))


@pytest.fixture
def redis(redis_of: Any) -> DownRedis:
    return DownRedis(redis_of("throttling"))


def limiter_over(redis: DownRedis, clock: FixedClock, processes: int = 1) -> RateLimiter:
    known = replace(ThrottlingConf.load(), processes=processes)
    quotas, usage = Quotas(known, Overrides(known.rates, None)), UsageRecorder(UsageStats(redis), None)
    return RateLimiter(known, WindowLimiter(redis), quotas, usage, clock)


def test_repeated_rejections_make_no_round_trip(redis: DownRedis, clock: FixedClock) -> None:
    limiter = limiter_over(redis, clock)
    assert [limiter.hit(HIT).allowed for _ in range(4)] == [True, True, True, False]
    redis.is_down = True
    clock.advance(0.9)
    again = limiter.hit(HIT)
    assert (again.allowed, again.exact) == (False, True)
    assert again.wait_ms <= 62_400 - 900


def test_a_remembered_rejection_has_one_wait(redis: DownRedis, clock: FixedClock) -> None:
    """Retry-After and RateLimit are read at the same moment, so they name the same second."""
    limiter = limiter_over(redis, clock)
    for _ in range(4):
        limiter.hit(HIT)
    redis.is_down = True
    for _ in range(9):
        clock.advance(0.1)
        again = limiter.hit(HIT)
        assert [window.frees_ms for window in again.windows] == [again.wait_ms]
        assert limit_field(again) == f'"minute";r=0;t={again.retry_after_seconds}'


def test_a_rejection_is_forgotten_once_a_shorter_window_gives_units_back(clock: FixedClock) -> None:
    memo, policies = RejectionMemo(), parse_policies("5/s,5000/day")
    memo.keep(Outcome(Hit("user:a", policies), 9_000, (WindowStats(2, 400), WindowStats(5_000, 9_000))), clock())
    clock.advance(0.3)
    known = memo.recall(Hit("user:a", policies), clock())
    assert known is not None
    assert limit_field(known) == '"second";r=3;t=1, "day";r=0;t=9'
    clock.advance(0.2)
    assert memo.recall(Hit("user:a", policies), clock()) is None


def test_a_rejection_is_forgotten_after_a_second(redis: DownRedis, clock: FixedClock) -> None:
    limiter = limiter_over(redis, clock)
    for _ in range(4):
        limiter.hit(HIT)
    redis.client.flushall()
    assert not limiter.hit(HIT).allowed
    clock.advance(1.0)
    assert limiter.hit(HIT).allowed


def test_the_memo_answers_only_what_redis_would_reject(clock: FixedClock) -> None:
    memo = RejectionMemo()
    memo.keep(Outcome(Hit("user:a", HIT.policies, 2), 5_000, ()), clock())
    assert memo.recall(HIT, clock()) is None
    assert memo.recall(Hit("user:a", HIT.policies, 3), clock()) is not None
    assert memo.recall(Hit("user:b", HIT.policies, 2), clock()) is None
    assert memo.recall(Hit("user:a", parse_policies("4/min"), 2), clock()) is None


def test_while_redis_is_unavailable_each_process_allows_its_share(redis: DownRedis, clock: FixedClock) -> None:
    limiter = limiter_over(redis, clock, processes=2)
    redis.is_down = True
    outcomes = [limiter.hit(HIT) for _ in range(3)]
    assert [outcome.allowed for outcome in outcomes] == [True, True, False]
    assert not any(outcome.exact for outcome in outcomes)
    assert outcomes[0].hit == HIT


def test_exact_again_within_a_second_of_redis(redis: DownRedis, clock: FixedClock) -> None:
    limiter = limiter_over(redis, clock)
    redis.is_down = True
    assert not limiter.hit(HIT).exact
    redis.is_down = False
    assert not limiter.hit(HIT).exact
    clock.advance(1.0)
    assert limiter.hit(HIT).exact


def test_a_failed_probe_keeps_the_breaker_open(redis: DownRedis, clock: FixedClock) -> None:
    limiter = limiter_over(redis, clock)
    redis.is_down = True
    limiter.hit(HIT)
    clock.advance(1.0)
    limiter.hit(HIT)
    redis.is_down = False
    assert not limiter.hit(HIT).exact
    clock.advance(1.0)
    assert limiter.hit(HIT).exact


def test_reading_the_windows_is_never_remembered_as_a_rejection(redis: DownRedis, clock: FixedClock) -> None:
    limiter = limiter_over(redis, clock)
    for _ in range(3):
        limiter.hit(HIT)
    limiter.hit(Hit("user:a", parse_policies("1/min"), cost=0, is_test=True))
    redis.client.flushall()
    assert limiter.hit(Hit("user:a", parse_policies("1/min"))).allowed


def test_a_test_is_local_while_redis_is_unavailable(redis: DownRedis, clock: FixedClock) -> None:
    limiter = limiter_over(redis, clock)
    redis.is_down = True
    test = replace(HIT, is_test=True)
    assert all(limiter.hit(test).allowed for _ in range(5))
    assert [limiter.hit(HIT).allowed for _ in range(3)] == [True, True, True]
    assert not limiter.hit(test).allowed
