from dataclasses import replace
from typing import Any

import pytest

from tests.doubles import DownRedis, FixedClock
from throttling.domain.policies import Hit, Outcome, WindowStats, parse_policies
from throttling.domain.rejections import RejectionMemo
from throttling.services.answers import limit_field
from throttling.services.rate_limiter import WindowLimiterWithFallback
from throttling.store.window_limiter import WindowLimiter

HIT = Hit("user:a", parse_policies("3/min"))


@pytest.fixture
def redis(redis_of: Any) -> DownRedis:
    return DownRedis(redis_of("throttling"))


def gate_over(redis: DownRedis, clock: FixedClock, processes: int = 1) -> WindowLimiterWithFallback:
    return WindowLimiterWithFallback(WindowLimiter(redis), processes, clock)


def test_hot_refusals_ask_nobody(redis: DownRedis, clock: FixedClock) -> None:
    gate = gate_over(redis, clock)
    assert [gate.hit(HIT).allowed for _ in range(4)] == [True, True, True, False]
    redis.is_down = True
    clock.advance(0.9)
    again = gate.hit(HIT)
    assert (again.allowed, again.exact) == (False, True)
    assert again.wait_ms <= 62_400 - 900


def test_a_remembered_refusal_tells_one_wait(redis: DownRedis, clock: FixedClock) -> None:
    """Retry-After and RateLimit are read at the same moment, so they name the same second."""
    gate = gate_over(redis, clock)
    for _ in range(4):
        gate.hit(HIT)
    redis.is_down = True
    for _ in range(9):
        clock.advance(0.1)
        again = gate.hit(HIT)
        assert [standing.frees_ms for standing in again.standings] == [again.wait_ms]
        assert limit_field(again) == f'"minute";r=0;t={again.retry_after_seconds}'


def test_a_refusal_is_asked_for_again_once_a_shorter_window_gives_units_back(clock: FixedClock) -> None:
    memo, policies = RejectionMemo(), parse_policies("5/s,5000/day")
    memo.keep(Outcome(Hit("user:a", policies), 9_000, (WindowStats(2, 400), WindowStats(5_000, 9_000))), clock())
    clock.advance(0.3)
    known = memo.recall(Hit("user:a", policies), clock())
    assert known is not None
    assert limit_field(known) == '"second";r=3;t=1, "day";r=0;t=9'
    clock.advance(0.2)
    assert memo.recall(Hit("user:a", policies), clock()) is None


def test_a_refusal_is_asked_for_again_after_a_second(redis: DownRedis, clock: FixedClock) -> None:
    gate = gate_over(redis, clock)
    for _ in range(4):
        gate.hit(HIT)
    redis.client.flushall()
    assert not gate.hit(HIT).allowed
    clock.advance(1.0)
    assert gate.hit(HIT).allowed


def test_the_memo_answers_only_what_redis_would_refuse(clock: FixedClock) -> None:
    memo = RejectionMemo()
    memo.keep(Outcome(Hit("user:a", HIT.policies, 2), 5_000, ()), clock())
    assert memo.recall(HIT, clock()) is None
    assert memo.recall(Hit("user:a", HIT.policies, 3), clock()) is not None
    assert memo.recall(Hit("user:b", HIT.policies, 2), clock()) is None
    assert memo.recall(Hit("user:a", parse_policies("4/min"), 2), clock()) is None


def test_while_redis_is_away_each_process_lets_its_share_through(redis: DownRedis, clock: FixedClock) -> None:
    gate = gate_over(redis, clock, processes=2)
    redis.is_down = True
    outcomes = [gate.hit(HIT) for _ in range(3)]
    assert [outcome.allowed for outcome in outcomes] == [True, True, False]
    assert not any(outcome.exact for outcome in outcomes)
    assert outcomes[0].hit == HIT


def test_exact_again_within_a_second_of_redis(redis: DownRedis, clock: FixedClock) -> None:
    gate = gate_over(redis, clock)
    redis.is_down = True
    assert not gate.hit(HIT).exact
    redis.is_down = False
    assert not gate.hit(HIT).exact
    clock.advance(1.0)
    assert gate.hit(HIT).exact


def test_a_failed_probe_keeps_the_breaker_open(redis: DownRedis, clock: FixedClock) -> None:
    gate = gate_over(redis, clock)
    redis.is_down = True
    gate.hit(HIT)
    clock.advance(1.0)
    gate.hit(HIT)
    redis.is_down = False
    assert not gate.hit(HIT).exact
    clock.advance(1.0)
    assert gate.hit(HIT).exact


def test_looking_is_never_remembered_as_a_refusal(redis: DownRedis, clock: FixedClock) -> None:
    gate = gate_over(redis, clock)
    for _ in range(3):
        gate.hit(HIT)
    gate.hit(Hit("user:a", parse_policies("1/min"), cost=0, is_look=True))
    assert gate.recall(Hit("user:a", parse_policies("1/min"))) is None


def test_a_look_is_local_too_while_redis_is_away(redis: DownRedis, clock: FixedClock) -> None:
    gate = gate_over(redis, clock)
    redis.is_down = True
    look = replace(HIT, is_look=True)
    assert all(gate.hit(look).allowed for _ in range(5))
    assert [gate.hit(HIT).allowed for _ in range(3)] == [True, True, True]
    assert not gate.hit(look).allowed
