import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from regime.domain.scoring import (
    MAX_SILENT_ROWS,
    MIN_HISTORY,
    scores_of_closes,
    scores_of_returns,
    trend_strength,
)
from regime.domain.state import FIELDS, REGIMES, TIMEFRAMES, WINDOW_DAYS

BULL, BEAR, SIDEWAYS, VOLATILE, CALM = map(REGIMES.index, ("bull", "bear", "sideways", "volatile", "calm"))
TREND, VOLATILITY = [BULL, BEAR, SIDEWAYS], [VOLATILE, CALM]
days = MIN_HISTORY + 30
some_returns = arrays(np.float64, (days, 2), elements=st.integers(-50, 50).map(lambda n: n / 1000))


def cube(scores: np.ndarray) -> np.ndarray:  # (symbols, timeframes, regimes)
    return scores.reshape(len(scores), len(TIMEFRAMES), len(REGIMES))


def noise(rows: int, columns: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.01, (rows, columns))


@pytest.mark.parametrize(
    ("t", "degrees", "strength"),  # two-sided critical values of the usual tables
    [(2.776, 4, 0.95), (2.262, 9, 0.95), (2.845, 20, 0.99), (1.645, 10_000, 0.90), (12.706, 1, 0.95), (0.0, 41, 0.0)],
)
def test_strength_is_that_of_the_tables(t: float, degrees: int, strength: float) -> None:
    assert trend_strength(np.array([t, -t]), degrees) == pytest.approx([strength, strength], abs=5e-4)


@given(some_returns)
@settings(max_examples=30, deadline=None)
def test_scores_stay_in_bounds_and_a_trend_and_its_lack_make_one(returns: np.ndarray) -> None:
    scores = cube(scores_of_returns(returns))
    known = scores[~np.isnan(scores)]
    assert ((known >= 0) & (known <= 1)).all()
    trend = scores[:, :, TREND].sum(axis=2)
    assert trend[~np.isnan(trend)] == pytest.approx(1.0)
    assert not (scores[:, :, VOLATILE] * scores[:, :, CALM] > 0).any()


@given(some_returns)
@settings(max_examples=30, deadline=None)
def test_mirrored_returns_swap_bull_and_bear_and_nothing_else(returns: np.ndarray) -> None:
    one, other = cube(scores_of_returns(returns)), cube(scores_of_returns(-returns))
    np.testing.assert_allclose(one[:, :, [BEAR, BULL, SIDEWAYS, VOLATILE, CALM]], other, atol=1e-12)


@given(some_returns, st.sampled_from([0.25, 0.3, 7.0]))
@settings(max_examples=30, deadline=None)
def test_the_scale_of_returns_does_not_matter(returns: np.ndarray, scale: float) -> None:
    np.testing.assert_allclose(scores_of_returns(returns), scores_of_returns(scale * returns), atol=1e-9)


@given(st.floats(0.01, 1000.0))
@settings(max_examples=20, deadline=None)
def test_the_unit_of_prices_does_not_matter(unit: float) -> None:
    closes = np.exp(np.cumsum(noise(300), axis=0))
    np.testing.assert_allclose(scores_of_closes(closes), scores_of_closes(closes * unit), atol=1e-6)


def test_symbols_are_scored_as_if_alone() -> None:
    returns = noise(400)
    together = scores_of_returns(returns)
    for column in range(3):
        np.testing.assert_allclose(together[column], scores_of_returns(returns[:, [column]])[0], atol=1e-9)


def test_a_steady_rise_is_bull_a_fall_bear_and_no_move_sideways() -> None:
    drift = np.array([0.01, -0.01, 0.0])
    scores = cube(scores_of_returns(noise(600) * [0.1, 0.1, 0.0] + drift))
    assert (scores[0, :, BULL] > 0.99).all()
    assert (scores[1, :, BEAR] > 0.99).all()
    assert (scores[2, :, SIDEWAYS] == 1.0).all()
    assert (scores[2, :, :2] == 0.0).all()


def test_a_storm_is_volatile_and_silence_calm() -> None:
    returns = noise(400, 2)
    returns[-21:] *= [10.0, 0.1]
    scores = cube(scores_of_returns(returns))
    assert scores[0, 2, VOLATILE] == 1.0
    assert scores[1, 2, CALM] == 1.0


def test_constant_volatility_is_neither_volatile_nor_calm() -> None:
    returns = np.tile([[0.01], [-0.01]], (300, 1))
    even = [index for index, window in enumerate(WINDOW_DAYS.values()) if window % 2 == 0]
    scores = cube(scores_of_returns(returns))[0, even][:, VOLATILITY]
    assert scores[~np.isnan(scores)].max() == 0


@pytest.mark.parametrize(("index", "window"), list(enumerate(WINDOW_DAYS.values())))
def test_too_little_history_gives_no_score(index: int, window: int) -> None:
    assert np.isnan(cube(scores_of_returns(noise(window - 1)))[:, index]).all()
    just_enough = cube(scores_of_returns(noise(window)))[:, index]
    assert not np.isnan(just_enough[:, TREND]).any()
    assert np.isnan(just_enough[:, VOLATILITY]).all()
    assert not np.isnan(cube(scores_of_returns(noise(window + MIN_HISTORY)))[:, index]).any()


def test_gaps_are_bridged_but_a_symbol_that_fell_silent_is_not_scored() -> None:
    closes = np.exp(np.cumsum(noise(400, 2), axis=0))
    with_gaps = np.insert(closes, [100, 390], np.nan, axis=0)
    np.testing.assert_allclose(scores_of_closes(closes), scores_of_closes(with_gaps), atol=1e-9)
    silent = closes.copy()
    silent[-MAX_SILENT_ROWS:, 0] = np.nan
    scores = scores_of_closes(silent)
    assert np.isnan(scores[0]).all()
    assert not np.isnan(scores[1]).all()


def test_a_late_starter_is_judged_by_its_own_history() -> None:
    closes = np.exp(np.cumsum(noise(700, 1), axis=0))
    table = np.column_stack((closes, closes))
    table[:300, 1] = np.nan
    scores = cube(scores_of_closes(table))
    np.testing.assert_allclose(scores[1:], cube(scores_of_closes(closes[300:])), atol=1e-9)
    assert np.isnan(scores[1, -1, BULL])


@pytest.mark.parametrize("close", [0.0, -1.0, np.nan])
def test_what_is_no_price_is_no_close(close: float) -> None:
    closes = np.exp(np.cumsum(noise(300, 1), axis=0))
    np.testing.assert_allclose(
        scores_of_closes(np.insert(closes, 200, close, axis=0)), scores_of_closes(closes), atol=1e-9
    )


def test_nothing_in_nothing_out() -> None:
    assert scores_of_closes(np.empty((0, 2))).shape == (2, len(FIELDS))
    assert np.isnan(scores_of_closes(np.ones((1, 1)))).all()
