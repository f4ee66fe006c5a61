"""A client that waits for Retry-After and then tries once is never rejected, and never waits much too long."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.settings import REDIS_KIND
from throttling.domain.policies import Hit, Outcome, parse_policies
from throttling.domain.rolling_windows import RollingWindows
from throttling.store.window_limiter import WindowLimiter

ROUNDS = 500 if REDIS_KIND == "fake" else 10_000
NOW_MS = 1_790_000_000_000
Limiter = Callable[[Hit, int], Outcome]


def is_served_after_waiting(limiter: Limiter, hit: Hit, now_ms: int) -> int:
    """Waits the whole seconds of Retry-After, which is one try; the time after it."""
    rejected = limiter(hit, now_ms)
    if rejected.allowed:
        return now_ms
    now_ms += 1000 * rejected.retry_after_seconds
    assert limiter(hit, now_ms).allowed, rejected
    return now_ms


def test_ten_thousand_rounds_of_random_traffic(limiter: WindowLimiter) -> None:
    chance, now_ms, rejections = random.Random(7), NOW_MS, 0
    policies = parse_policies("7/3s,40/30s,300/10min")
    for _ in range(ROUNDS):
        before = now_ms = now_ms + int(chance.expovariate(1 / 250))
        hit = Hit(f"user:{chance.randrange(3)}", policies, chance.choice((1, 1, 1, 2, 5)))
        now_ms = is_served_after_waiting(limiter.hit, hit, now_ms)
        rejections += now_ms > before
    assert rejections > ROUNDS / 10


traffic = st.lists(st.tuples(st.integers(0, 40_000), st.integers(1, 9)), max_size=80)


@settings(deadline=None, max_examples=200)
@given(
    traffic=traffic, rates=st.sampled_from(("3/2s", "7/3s,12/7s", "1/s,5/min", "4/min,100/day", "8/7s:shadow,9/11s"))
)
def test_any_traffic_against_the_model(traffic: Any, rates: str) -> None:
    windows, policies, now_ms = RollingWindows(), parse_policies(rates), NOW_MS
    for pause_ms, cost in traffic:
        now_ms = is_served_after_waiting(windows.hit, Hit("user:a", policies, cost), now_ms + pause_ms)


@settings(deadline=None, max_examples=200)
@given(traffic=traffic, rates=st.sampled_from(("3/2s", "7/3s", "12/7s", "4/min", "100/day")))
def test_the_wait_is_at_most_one_bucket_too_long(traffic: Any, rates: str) -> None:
    """By the definition of a rolling window, one bucket less than Retry-After is too early."""
    windows, [policy], now_ms, log = RollingWindows(), parse_policies(rates), NOW_MS, []
    for pause_ms, cost in traffic:
        now_ms += pause_ms
        outcome = windows.hit(Hit("user:a", (policy,), cost), now_ms)
        if outcome.allowed:
            log.append((now_ms, policy.units(cost)))
            continue
        early_ms = now_ms + outcome.wait_ms - policy.bucket_ms - 1
        inside = sum(units for at, units in log if early_ms - policy.window_seconds * 1000 < at)
        assert inside + policy.units(cost) > policy.limit


@pytest.mark.parametrize("limit", [1, 60, 6000])
def test_a_steady_client_gets_more_than_ninety_five_per_cent(limit: int) -> None:
    """One that spreads its requests evenly, or asks again every second."""
    windows, policy = RollingWindows(), parse_policies(f"{limit}/min")
    step_ms, served = min(1_000, 60_000 // limit), 0
    for tick in range(20 * 60_000 // step_ms):
        served += windows.hit(Hit("user:a", policy), NOW_MS + tick * step_ms).allowed
    assert served >= 0.95 * 20 * limit
