"""The script on a real server, against the model in plain Python and against the definition of a rolling window."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from throttling import keys
from throttling.domain.policies import BUCKETS, Hit, Outcome, Policy, parse_policies
from throttling.domain.rolling_windows import RollingWindows
from throttling.store.window_limiter import WindowLimiter

NOW_MS = 1_790_000_000_000
MINUTE = parse_policies("3/min")

SLOW_OK = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


def hit(policies: tuple[Policy, ...] = MINUTE, cost: int = 1, subject: str = "user:a") -> Hit:
    return Hit(subject, policies, cost)


def test_lets_the_limit_through_and_not_one_more(limiter: WindowLimiter) -> None:
    outcomes = [limiter.hit(hit(), NOW_MS) for _ in range(5)]
    assert [outcome.allowed for outcome in outcomes] == [True, True, True, False, False]
    assert [outcome.remaining() for outcome in outcomes] == [[2], [1], [0], [0], [0]]
    assert [policy.name for policy in outcomes[-1].exceeded()] == ["minute"]
    assert outcomes[0].exact


def test_the_clock_is_the_servers(limiter: WindowLimiter) -> None:
    assert [limiter.hit(hit()).allowed for _ in range(4)] == [True, True, True, False]


def test_rejected_costs_nothing(limiter: WindowLimiter, redis_of: Any) -> None:
    for _ in range(3):
        limiter.hit(hit(), NOW_MS)
    client = redis_of("throttling")
    limiter.hit(hit(), NOW_MS)
    for _ in range(3):
        limiter.hit(hit(), NOW_MS)
    before = client.hgetall(keys.window("user:a", 60))
    assert not limiter.hit(hit(), NOW_MS + 30_000).allowed
    assert client.hgetall(keys.window("user:a", 60)) == before


def test_what_one_policy_rejects_another_is_not_charged_for(limiter: WindowLimiter) -> None:
    policies = parse_policies("2/s,100/day")
    for _ in range(5):
        limiter.hit(hit(policies), NOW_MS)
    assert limiter.test("user:a", policies, NOW_MS).remaining() == [0, 98]


def test_waiting_is_enough_and_at_most_one_bucket_too_long(limiter: WindowLimiter) -> None:
    start = NOW_MS + 1_234
    for _ in range(3):
        limiter.hit(hit(), start)
    wait_ms = limiter.hit(hit(), start).wait_ms
    assert 60_000 < wait_ms <= 60_000 + 60_000 // BUCKETS
    assert not limiter.hit(hit(), start + wait_ms - 1).allowed
    assert limiter.hit(hit(), start + wait_ms).allowed


def test_retry_after_is_in_whole_seconds_and_never_short(limiter: WindowLimiter) -> None:
    for _ in range(4):
        outcome = limiter.hit(hit(), NOW_MS + 1)
    assert outcome.retry_after_seconds * 1000 >= outcome.wait_ms > (outcome.retry_after_seconds - 1) * 1000


def test_test_charges_nothing_and_creates_nothing(limiter: WindowLimiter, redis_of: Any) -> None:
    client = redis_of("throttling")
    assert limiter.test("user:a", MINUTE).remaining() == [3]
    assert client.dbsize() == 0
    limiter.hit(hit())
    assert [limiter.test("user:a", MINUTE).remaining() for _ in range(2)] == [[2], [2]]


def test_a_test_decides_like_a_charge_and_charges_nothing(limiter: WindowLimiter, redis_of: Any) -> None:
    test = Hit("user:a", MINUTE, 2, is_test=True)
    assert limiter.hit(test, NOW_MS).allowed
    assert redis_of("throttling").dbsize() == 0
    assert [limiter.hit(hit(), NOW_MS).allowed for _ in range(2)] == [True, True]
    rejected = limiter.hit(test, NOW_MS)
    assert (rejected.allowed, rejected.wait_ms) == (False, limiter.hit(hit(cost=2), NOW_MS).wait_ms)
    assert limiter.test("user:a", MINUTE, NOW_MS).remaining() == [1]


def test_a_test_is_charged_to_its_allowance_alone(limiter: WindowLimiter, redis_of: Any) -> None:
    test = Hit("user:a", MINUTE, 2, is_test=True, allowance=parse_policies("5/min"))
    outcomes = [limiter.hit(test, NOW_MS) for _ in range(3)]
    assert [(outcome.allowed, outcome.is_allowance_used_up) for outcome in outcomes] == [
        (True, False),
        (True, False),
        (False, True),
    ]
    assert all(outcome.remaining() == [3] for outcome in outcomes)
    assert limiter.hit(test, NOW_MS + outcomes[-1].wait_ms).allowed
    assert redis_of("throttling").keys() == [keys.conditional_window("user:a", 60).encode()]
    assert limiter.reset("user:a", MINUTE) == 1


def test_a_rejected_test_leaves_its_allowance(limiter: WindowLimiter, redis_of: Any) -> None:
    limiter.hit(hit(cost=3), NOW_MS)
    rejected = limiter.hit(Hit("user:a", MINUTE, is_test=True, allowance=parse_policies("5/min")), NOW_MS)
    assert (rejected.allowed, rejected.is_allowance_used_up) == (False, False)
    assert redis_of("throttling").dbsize() == 1


def test_shadow_counts_but_rejects_nothing(limiter: WindowLimiter) -> None:
    policies = parse_policies("2/min:shadow,4/hour")
    outcomes = [limiter.hit(hit(policies), NOW_MS) for _ in range(5)]
    assert [outcome.allowed for outcome in outcomes] == [True, True, True, True, False]
    assert [[policy.name for policy in outcome.exceeded()] for outcome in outcomes[:4]] == [
        [],
        [],
        ["minute"],
        ["minute"],
    ]


def test_a_cost_above_the_limit_takes_all_of_it(limiter: WindowLimiter) -> None:
    assert limiter.hit(hit(cost=10), NOW_MS).allowed
    rejected = limiter.hit(hit(cost=10), NOW_MS)
    assert not rejected.allowed
    assert limiter.hit(hit(cost=10), NOW_MS + rejected.wait_ms).allowed


def test_subjects_do_not_share(limiter: WindowLimiter) -> None:
    for _ in range(4):
        limiter.hit(hit(), NOW_MS)
    assert limiter.hit(hit(subject="user:b"), NOW_MS).allowed


def test_a_window_outlives_its_last_charge_by_one_bucket(limiter: WindowLimiter, redis_of: Any) -> None:
    limiter.hit(hit(parse_policies("3/min,9/day")))
    client = redis_of("throttling")
    for seconds in (60, 86400):
        life_ms = client.pttl(keys.window("user:a", seconds))
        assert seconds * 1000 < life_ms <= seconds * 1000 * (1 + 1 / BUCKETS)


def test_old_buckets_are_dropped(limiter: WindowLimiter, redis_of: Any) -> None:
    many = parse_policies("1000000/min")
    for bucket in range(5 * BUCKETS):
        limiter.hit(hit(many), NOW_MS + bucket * many[0].bucket_ms)
    assert redis_of("throttling").hlen(keys.window("user:a", 60)) == BUCKETS + 1


def test_a_lower_limit_counts_what_was_used_before(limiter: WindowLimiter) -> None:
    for _ in range(3):
        limiter.hit(hit(), NOW_MS)
    lower = limiter.hit(hit(parse_policies("1/min")), NOW_MS)
    assert not lower.allowed
    assert lower.remaining() == [0]
    assert limiter.hit(hit(parse_policies("1/min")), NOW_MS + lower.wait_ms).allowed


def test_reset_forgets(limiter: WindowLimiter) -> None:
    for _ in range(4):
        limiter.hit(hit(), NOW_MS)
    assert limiter.reset("user:a", MINUTE) == 1
    assert limiter.hit(hit(), NOW_MS).allowed


@pytest.mark.real_server
def test_a_flushed_script_is_loaded_again(limiter: WindowLimiter, redis_of: Any) -> None:
    limiter.hit(hit())
    redis_of("throttling").script_flush()
    assert limiter.hit(hit()).allowed


@pytest.mark.real_server
def test_limiters_of_one_client_share_their_connections(redis_of: Any) -> None:
    client = redis_of("throttling")
    WindowLimiter(client).hit(hit())
    before = client.info("clients")["connected_clients"]
    for _ in range(5):
        WindowLimiter(client).hit(hit())
    assert client.info("clients")["connected_clients"] == before


def test_a_clock_that_steps_back_gives_nothing_away(limiter: WindowLimiter) -> None:
    for _ in range(2):
        limiter.hit(hit(), NOW_MS)
    assert limiter.hit(hit(), NOW_MS - 30_000).allowed
    assert not limiter.hit(hit(), NOW_MS - 30_000).allowed
    assert not limiter.hit(hit(), NOW_MS).allowed


@pytest.mark.parametrize("rates", ["3/min", "2/s,3/min", "3/min:shadow,3/hour"])
@pytest.mark.parametrize("is_test", [False, True])
def test_a_clock_that_steps_back_an_hour_rejects_for_one_window_at_most(
    limiter: WindowLimiter, rates: str, is_test: bool
) -> None:
    policies, model = parse_policies(rates), RollingWindows()
    for back_ms in (0, 1_000, 30_000):
        both(limiter, model, hit(policies), NOW_MS + back_ms)
    [*_, longest] = policies
    now_ms = NOW_MS + 30_000 - 3_600_000
    rejected = both(limiter, model, hit(policies), now_ms)
    assert 0 < rejected.wait_ms <= longest.window_seconds * 1000 + longest.bucket_ms
    for part in (0.3, 0.9):  # asking again and again makes it no longer
        again = replace(hit(policies), is_test=is_test)
        assert not both(limiter, model, again, now_ms + int(rejected.wait_ms * part)).allowed
    assert both(limiter, model, hit(policies), now_ms + rejected.wait_ms).allowed


def test_a_clock_that_steps_back_and_forth_counts_nothing_twice(limiter: WindowLimiter) -> None:
    ten = parse_policies("10/min")
    for at_ms, remaining in ((0, 9), (0, 8), (-30_000, 7), (0, 6), (0, 5)):
        assert limiter.hit(hit(ten), NOW_MS + at_ms).remaining() == [remaining]


steps = st.lists(
    st.tuples(
        st.integers(0, 4_000),  # ms since the step before
        st.integers(0, 3),  # cost; 0 only tests
        st.booleans(),  # whether to wait after a rejection, or to test as well
    ),
    max_size=60,
)


@SLOW_OK
@given(steps=steps, limits=st.sampled_from(("3/2s", "2/s,5/3s", "4/2s:shadow,6/3s", "1/s")))
def test_the_script_does_what_the_model_does(limiter: WindowLimiter, redis_of: Any, steps: Any, limits: str) -> None:
    """Step by step the same outcomes; and in no rolling window more than the limit, by the definition."""
    redis_of("throttling").flushall()
    policies, model, now_ms, log = parse_policies(limits), RollingWindows(), NOW_MS, []
    for pause_ms, cost, again in steps:
        now_ms += pause_ms
        outcome = both(limiter, model, hit(policies, cost), now_ms)
        if again and not outcome.allowed:
            now_ms += outcome.wait_ms
            outcome = both(limiter, model, hit(policies, cost), now_ms)
            assert outcome.allowed
        elif again:
            allowance = parse_policies("4/2s")
            both(limiter, model, replace(hit(policies, cost), is_test=True, allowance=allowance), now_ms)
        if outcome.allowed:
            log.append((now_ms, cost))
    for policy in policies:
        if not policy.shadow:
            assert largest_count([(at, policy.units(cost)) for at, cost in log], policy) <= policy.limit


@SLOW_OK
@given(steps=st.lists(st.tuples(st.integers(-4_000, 4_000), st.integers(0, 3)), max_size=40))
def test_the_script_does_what_the_model_does_when_the_clock_jumps(
    limiter: WindowLimiter, redis_of: Any, steps: Any
) -> None:
    redis_of("throttling").flushall()
    policies, model, now_ms = parse_policies("2/s,7/3s"), RollingWindows(), NOW_MS
    for jump_ms, cost in steps:
        now_ms += jump_ms
        outcome, expected = (judge.hit(hit(policies, cost), now_ms) for judge in (limiter, model))
        assert (outcome.wait_ms, outcome.remaining()) == (expected.wait_ms, expected.remaining())


def both(limiter: WindowLimiter, model: RollingWindows, one: Hit, now_ms: int) -> Outcome:
    outcome, expected = limiter.hit(one, now_ms), model.hit(one, now_ms)
    assert outcome == replace(expected, exact=True)
    return outcome


def largest_count(log: list[tuple[int, int]], policy: Policy) -> int:
    """The most units in any half-open window of the policy's length that begins at a charge."""
    length_ms = policy.window_seconds * 1000
    return max((sum(units for at, units in log if start <= at < start + length_ms) for start, _ in log), default=0)
