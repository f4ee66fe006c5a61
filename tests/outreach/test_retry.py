import pytest
from hypothesis import given
from hypothesis import strategies as st

from outreach.domain.retry import RetryPolicy, retry_delay_seconds

POLICY = RetryPolicy(retries=5, base_seconds=10, factor=2, cap_seconds=100)


@pytest.mark.parametrize(("failures", "ceiling"), [(1, 10), (2, 20), (3, 40), (4, 80), (5, 100)])
def test_the_ceiling_doubles_up_to_the_cap(failures: int, ceiling: float) -> None:
    assert retry_delay_seconds(POLICY, failures, lambda: 1.0) == ceiling
    assert retry_delay_seconds(POLICY, failures, lambda: 0.25) == ceiling / 4


def test_after_five_retries_it_gives_up() -> None:
    assert retry_delay_seconds(POLICY, 5, lambda: 0.0) is not None
    assert retry_delay_seconds(POLICY, 6, lambda: 0.0) is None


def test_a_server_is_not_asked_before_the_time_it_named() -> None:
    assert retry_delay_seconds(POLICY, 1, lambda: 1.0, retry_after_seconds=77) == 77
    assert retry_delay_seconds(POLICY, 1, lambda: 1.0, retry_after_seconds=3) == 10
    assert retry_delay_seconds(POLICY, 1, lambda: 1.0, retry_after_seconds=1e9) == 86_400


@given(st.integers(1, 5), st.floats(0, 1))
def test_the_wait_lies_between_nothing_and_the_ceiling(failures: int, drawn: float) -> None:
    delay = retry_delay_seconds(POLICY, failures, lambda: drawn)
    assert delay is not None
    assert 0 <= delay <= 100
