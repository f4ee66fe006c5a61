import pytest

from avo_project.lib.backoff import exponential_seconds


@pytest.mark.parametrize(
    ("attempt", "factor", "seconds"), [(1, 2.0, 0.5), (2, 2.0, 1.0), (3, 2.0, 2.0), (3, 4.0, 8.0), (9, 2.0, 60.0)]
)
def test_each_attempt_waits_longer_up_to_the_longest(attempt: int, factor: float, seconds: float) -> None:
    assert exponential_seconds(attempt, 0.5, 60.0, factor) == seconds


def test_any_number_of_attempts_is_finite() -> None:
    assert exponential_seconds(10**9, 0.5, 60.0) == 60.0
