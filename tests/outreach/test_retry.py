import pytest
from hypothesis import given
from hypothesis import strategies as st

from outreach.domain.retry import InboxCooldown, RetryPolicy, retry_delay_seconds

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


def test_an_inbox_rests_longer_each_time_and_a_success_ends_it() -> None:
    cooldown = InboxCooldown(failures=3, base_seconds=10, cap_seconds=35)
    cooldowns = [cooldown.cooldown_seconds(1, failed=True) for _ in range(6)]
    assert cooldowns == [None, None, 10, 20, 35, 35]
    assert cooldown.cooldown_seconds(1, failed=False) is None
    assert cooldown.cooldown_seconds(1, failed=True) is None


def test_inboxes_do_not_count_for_each_other() -> None:
    cooldown = InboxCooldown(failures=2, base_seconds=10, cap_seconds=100)
    assert cooldown.cooldown_seconds(1, failed=True) is None
    assert cooldown.cooldown_seconds(2, failed=True) is None
    assert cooldown.cooldown_seconds(1, failed=True) == 10


def test_a_very_long_row_is_no_overflow() -> None:
    cooldown = InboxCooldown(failures=1, base_seconds=1, cap_seconds=900)
    assert [cooldown.cooldown_seconds(1, failed=True) for _ in range(2000)][-1] == 900
