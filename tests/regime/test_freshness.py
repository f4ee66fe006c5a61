import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime.domain.freshness import (
    LIFE_SECONDS,
    Freshness,
    are_young,
    data_age,
    data_ends,
    data_through_value,
    known_data_through,
)
from regime.domain.state import FIELDS, StoredState
from tests.regime.states import NOW

DATA_THROUGH = json.loads((Path(__file__).parent / "data" / "data_through.json").read_text())["cases"]
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
    classification = state.classify(NOW)
    assert classification.freshness is freshness
    assert classification.age_seconds == pytest.approx(age_seconds)


@given(stamps, stamps.filter(lambda stamp: stamp is None or not math.isnan(stamp)), stamps)
def test_nothing_of_a_day_or_more_is_ever_current(
    computed_at: float | None, expires_at: float | None, backfilled_at: float | None
) -> None:
    classification = held(computed_at, expires_at, backfilled_at).classify(NOW)
    if classification.is_current:
        assert classification.age_seconds is not None
        assert 0.0 <= classification.age_seconds < LIFE_SECONDS
        assert classification.expires_at is not None
        assert classification.expires_at <= NOW + LIFE_SECONDS + 300
        if computed_at is None:
            assert expires_at is not None


@given(stamps, st.floats(0, 2 * LIFE_SECONDS))
def test_the_clock_going_on_never_makes_an_expired_state_current(
    computed_at: float | None, later_seconds: float
) -> None:
    if held(computed_at).classify(NOW).freshness is Freshness.EXPIRED:
        assert held(computed_at).classify(NOW + later_seconds).freshness is Freshness.EXPIRED


def test_a_state_dies_with_its_key_when_that_comes_first() -> None:
    assert held(NOW - HOUR, NOW + 60).classify(NOW).expires_at == NOW + 60
    assert held(NOW - HOUR).classify(NOW).expires_at == NOW + 23 * HOUR


@pytest.mark.parametrize(("text", "value", "age_seconds"), DATA_THROUGH)
def test_what_a_writer_may_say(text: str, value: Any, age_seconds: float | None) -> None:
    known = known_data_through(text.encode())
    assert data_through_value(known) == value
    assert data_age(known, NOW) == age_seconds
    assert known_data_through(known or None) == known


def test_many_are_as_old_as_each_of_them() -> None:
    known = np.array([known_data_through(text.encode()) for text, _, _ in DATA_THROUGH])
    for max_age in (0.0, 999.7, 1e6, 1e10):
        young = [age is not None and age <= max_age for _, _, age in DATA_THROUGH]
        assert are_young(data_ends(known), NOW, max_age).tolist() == young
    assert data_ends(known[:0]).tolist() == []
