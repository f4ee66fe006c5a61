from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outreach.domain.retry import HoldPolicy, RetryPolicy, retry_delay_seconds

POLICY = RetryPolicy(retries=5, base_seconds=10, factor=2, cap_seconds=100)


@pytest.mark.parametrize(("failures", "back_off"), [(1, 10), (2, 20), (3, 40), (4, 80), (5, 100)])
def test_the_back_off_doubles_up_to_the_cap(failures: int, back_off: float) -> None:
    assert retry_delay_seconds(POLICY, failures, lambda: 0.0) == back_off
    assert retry_delay_seconds(POLICY, failures, lambda: 1.0) == back_off * 1.25


def test_a_touch_is_retried_for_four_days_and_first_after_five_minutes() -> None:
    """RFC 5321, 4.5.4.1: the give-up time needs to be at least four to five days."""
    for drawn in (0.0, 1.0):
        delays: list[float] = []
        while (delay := retry_delay_seconds(RetryPolicy(), len(delays) + 1, lambda drawn=drawn: drawn)) is not None:
            delays.append(delay)
        assert 300 <= delays[0] <= 375
        assert 4 <= sum(delays) / 86_400 <= 5.5


def test_after_five_retries_it_gives_up() -> None:
    assert retry_delay_seconds(POLICY, 5, lambda: 0.0) is not None
    assert retry_delay_seconds(POLICY, 6, lambda: 0.0) is None


def test_a_server_is_not_asked_before_the_time_it_named() -> None:
    assert retry_delay_seconds(POLICY, 1, lambda: 1.0, retry_after_seconds=77) == 77 + 2.5
    assert retry_delay_seconds(POLICY, 1, lambda: 0.0, retry_after_seconds=3) == 10
    assert retry_delay_seconds(POLICY, 1, lambda: 0.0, retry_after_seconds=1e9) == 86_400


@given(st.integers(1, 5), st.floats(0, 1))
def test_the_wait_is_never_shorter_than_the_first_back_off(failures: int, drawn: float) -> None:
    delay = retry_delay_seconds(POLICY, failures, lambda: drawn)
    assert delay is not None
    assert 10 <= delay <= 125


HOLDS = HoldPolicy(failures=3, base_seconds=10, cap_seconds=35, server_base_seconds=1, server_cap_seconds=3)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("quota", [10, 20, 35, 35]),
        ("throttle", [10, 20, 35, 35]),
        ("reputation", [10, 20, 35, 35]),
        ("server", [1, 2, 3, 3]),
    ],
)
def test_each_hold_without_a_send_is_longer(reason: Any, expected: list[float]) -> None:
    assert [HOLDS.hold_seconds(reason, number, None) for number in (1, 2, 3, 4)] == expected
    assert HOLDS.hold_seconds(reason, 1000, None) == expected[-1]


def test_a_hold_ends_when_the_server_says_within_a_day() -> None:
    assert [HOLDS.hold_seconds("quota", 5, named) for named in (7.0, 1e9, 0.0)] == [7.0, 86_400.0, 35.0]
