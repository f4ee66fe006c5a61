from typing import Any

import pytest

from signals_app.domain.delivery import DeliverAgain, MoveToDeadLetters, RejectError, RetryLaterError, RetryPolicy


def test_the_delay_doubles_up_to_a_minute() -> None:
    policy = RetryPolicy()
    assert [policy.delay_seconds(deliveries) for deliveries in (1, 2, 3, 4, 5, 8, 10_000)] == [0.5, 1, 2, 4, 8, 60, 60]


def test_another_policy_has_its_own_delays() -> None:
    policy = RetryPolicy(base_seconds=10, factor=3, cap_seconds=100)
    assert [policy.delay_seconds(deliveries) for deliveries in (1, 2, 3, 4)] == [10, 30, 90, 100]


def test_an_entry_is_dead_lettered_beyond_its_limit() -> None:
    assert RetryPolicy().check_deliveries(5) is None
    outcome = RetryPolicy().check_deliveries(6)
    assert outcome is not None
    assert outcome.reason == "too-many-deliveries: delivered 6 times, 5 at most"


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (RejectError("no such market"), MoveToDeadLetters("rejected: no such market")),
        (RetryLaterError(after_seconds=7), DeliverAgain(7)),
        (RetryLaterError("closed"), DeliverAgain(1.0)),
        (OSError("x"), DeliverAgain(1.0)),
    ],
)
def test_each_failure_has_one_outcome(failure: Exception, outcome: Any) -> None:
    assert RetryPolicy().after_failure(failure, deliveries=2) == outcome


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_deliveries": 0}, "MAX_DELIVERIES must be 1"),
        ({"base_seconds": -1}, "RETRY_BASE_SECONDS must be 0"),
        ({"factor": 0.5}, "RETRY_FACTOR must be 1"),
        ({"cap_seconds": float("nan")}, "RETRY_CAP_SECONDS must be 0"),
    ],
)
def test_an_impossible_policy_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RetryPolicy(**values)
