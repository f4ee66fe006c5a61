import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime.domain.freshness import LIFE_SECONDS, Freshness, judge
from regime.domain.state import FIELDS, StoredState
from tests.regime.states import NOW

HOUR = 3600.0
stamps = st.none() | st.just(math.nan) | st.floats(NOW - 3 * LIFE_SECONDS, NOW + 3 * LIFE_SECONDS)


def held(
    computed_at: float | None = None, expires_at: float | None = None, backfilled_at: float | None = None
) -> StoredState:
    return StoredState("X", computed_at, expires_at, backfilled_at, (None,) * len(FIELDS), 0)


@pytest.mark.parametrize(
    ("state", "freshness", "age_seconds"),
    [
        (held(NOW - HOUR), Freshness.CURRENT, HOUR),
        (held(NOW - LIFE_SECONDS + 1), Freshness.CURRENT, LIFE_SECONDS - 1),
        (held(NOW - LIFE_SECONDS), Freshness.EXPIRED, LIFE_SECONDS),
        (held(NOW + 300), Freshness.CURRENT, 0.0),
        (held(NOW + 301), Freshness.FUTURE_STAMP, 0.0),
        (held(), Freshness.UNKNOWN_AGE, None),
        (held(math.nan, NOW + HOUR), Freshness.UNKNOWN_AGE, None),
        (held(None, NOW + HOUR), Freshness.CURRENT, 23 * HOUR),
        (held(None, NOW + 2 * LIFE_SECONDS), Freshness.FUTURE_STAMP, 0.0),
        (held(None, NOW - HOUR + LIFE_SECONDS, NOW - HOUR), Freshness.UNKNOWN_AGE, None),
        (held(None, NOW + LIFE_SECONDS, NOW - HOUR), Freshness.CURRENT, 0.0),
        (held(None, None, NOW - HOUR), Freshness.UNKNOWN_AGE, None),
        (held(None, NOW + HOUR, math.nan), Freshness.UNKNOWN_AGE, None),
        (held(NOW - 30 * HOUR, NOW + HOUR), Freshness.EXPIRED, 30 * HOUR),
    ],
)
def test_the_rules(state: StoredState, freshness: Freshness, age_seconds: float | None) -> None:
    judgement = judge(state, NOW)
    assert judgement.freshness is freshness
    assert judgement.age_seconds == pytest.approx(age_seconds)


@given(stamps, stamps.filter(lambda stamp: stamp is None or not math.isnan(stamp)), stamps)
def test_nothing_of_a_day_or_more_is_ever_current(
    computed_at: float | None, expires_at: float | None, backfilled_at: float | None
) -> None:
    judgement = judge(held(computed_at, expires_at, backfilled_at), NOW)
    if judgement.is_current:
        assert judgement.age_seconds is not None
        assert 0.0 <= judgement.age_seconds < LIFE_SECONDS
        assert judgement.expires_at is not None
        assert judgement.expires_at <= NOW + LIFE_SECONDS + 300
        if computed_at is None:
            assert expires_at is not None


@given(stamps, st.floats(0, 2 * LIFE_SECONDS))
def test_the_clock_going_on_never_makes_an_expired_state_current(
    computed_at: float | None, later_seconds: float
) -> None:
    if judge(held(computed_at), NOW).freshness is Freshness.EXPIRED:
        assert judge(held(computed_at), NOW + later_seconds).freshness is Freshness.EXPIRED


def test_a_state_dies_with_its_key_when_that_comes_first() -> None:
    assert judge(held(NOW - HOUR, NOW + 60), NOW).expires_at == NOW + 60
    assert judge(held(NOW - HOUR), NOW).expires_at == NOW + 23 * HOUR
