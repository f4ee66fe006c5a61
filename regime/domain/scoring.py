"""Scores of every regime in every timeframe from daily closes. Pure numpy, all symbols at once.

A timeframe is a window of daily log returns r that ends at the last close.

Trend. t is Student's statistic of the mean return, mean(r) / (sd(r) / sqrt(w)), a measure of trend as in Baltas and
Kosowski, "Demystifying Time-Series Momentum Strategies" (2020). Its strength is P(|T| < |t|) for T of w - 1 degrees of
freedom, that is 1 less the two-sided p value, by the finite series 26.7.3 and 26.7.4 of Abramowitz and Stegun (1964).
The strength is the score of bull in a rising window and of bear in a falling one; sideways is 1 less the strength. So
bull + bear + sideways = 1, and a trend scores above sideways from |t| of about 0.7.

Volatility. Realised volatility is sqrt(mean(r^2)) (Andersen and Bollerslev, "Answering the Skeptics", 1998). Its rank p
among all earlier windows of the same symbol and length (ties count half) gives volatile = max(0, 2p - 1) and
calm = max(0, 1 - 2p): both are 0 at the median; volatile is 1 above and calm is 1 below all earlier windows.

There is no score without enough history: a trend needs the whole window, and a rank needs MIN_HISTORY earlier windows.
A symbol without a close in the last MAX_SILENT_ROWS rows of the table has no scores.
"""

import numpy as np
from numpy.typing import NDArray

from regime.domain.state import FIELDS, WINDOW_DAYS

Floats = NDArray[np.float64]

MIN_HISTORY = 252
MAX_SILENT_ROWS = 5

_TIE = 1e-9  # relative: rolling sums of equal windows differ by rounding
_NOISE = 1e-13  # of the sum of all squares: what rounding leaves of a window without any move


def scores_of_closes(closes: Floats) -> Floats:
    """(days, symbols) closes, oldest first, NaN where there is none, to (symbols, len(FIELDS)) scores in the order of
    FIELDS, NaN for no score. Closes of zero or less count as none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log(np.where(closes > 0.0, closes, np.nan))
    logs = np.where(_silent(logs), np.nan, logs)
    return scores_of_returns(np.diff(_packed_to_the_end(logs), axis=0))


def scores_of_returns(returns: Floats) -> Floats:
    """(days, symbols) log returns, oldest first, NaN only ahead of a symbol's first one, to (symbols, len(FIELDS))
    scores."""
    scores = np.full((returns.shape[1], len(FIELDS)), np.nan)
    for timeframe, window in WINDOW_DAYS.items():
        for regime, column in {**_trend(returns, window), **_volatility(returns, window)}.items():
            scores[:, FIELDS.index(f"{regime}:{timeframe}")] = column
    return scores


def trend_strength(t: Floats, degrees: int) -> Floats:
    """P(|T| < |t|) for Student's T: 0 for no trend at all, towards 1 for one that chance hardly makes."""
    angle = np.arctan(np.abs(t) / np.sqrt(degrees))
    cosine = np.cos(angle)
    is_odd = degrees % 2
    term = cosine if is_odd else np.ones_like(angle)
    series = np.zeros_like(angle) if degrees == 1 else term.copy()
    for step in range(2 + is_odd, degrees - 1, 2):
        term = term * cosine**2 * (step - 1) / step
        series = series + term
    strength = np.sin(angle) * series
    if is_odd:
        strength = (angle + strength) * 2.0 / np.pi
    clipped: Floats = strength.clip(0.0, 1.0)
    return clipped


def _trend(returns: Floats, window: int) -> dict[str, Floats]:  # by regime (symbols,), nothing for no score
    if len(returns) < window:
        return {}
    recent = returns[-window:]
    mean, deviation = recent.mean(axis=0), recent.std(axis=0, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        t = np.where(mean == 0.0, np.where(np.isnan(deviation), np.nan, 0.0), mean * np.sqrt(window) / deviation)
    strength = trend_strength(t, window - 1)
    zero = np.zeros_like(strength)
    return {
        "bull": np.where(t < 0.0, zero, strength),
        "bear": np.where(t > 0.0, zero, strength),
        "sideways": 1.0 - strength,
    }


def _volatility(returns: Floats, window: int) -> dict[str, Floats]:  # by regime (symbols,), nothing for no score
    if len(returns) < window + MIN_HISTORY:
        return {}
    volatility = _rolling_volatility(returns, window)
    earlier, present = volatility[:-1], volatility[-1]
    low, high = present * (1.0 - _TIE), present * (1.0 + _TIE)
    below, not_above = (earlier < low).sum(axis=0), (earlier <= high).sum(axis=0)
    known = (~np.isnan(earlier)).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        rank = (below + not_above) / (2.0 * known)
    rank = np.where((known >= MIN_HISTORY) & ~np.isnan(present), rank, np.nan)
    return {"volatile": np.maximum(0.0, 2.0 * rank - 1.0), "calm": np.maximum(0.0, 1.0 - 2.0 * rank)}


def _rolling_volatility(returns: Floats, window: int) -> Floats:  # (days - window + 1, symbols)
    unknown = np.isnan(returns)
    sums = np.cumsum(np.where(unknown, 0.0, returns**2), axis=0)
    gaps = np.cumsum(unknown, axis=0)
    sums, gaps = np.pad(sums, ((1, 0), (0, 0))), np.pad(gaps, ((1, 0), (0, 0)))
    squares, missing = sums[window:] - sums[:-window], gaps[window:] - gaps[:-window]
    squares = np.where(squares < _NOISE * sums[-1], 0.0, squares)
    return np.where(missing > 0, np.nan, np.sqrt(squares / window))


def _silent(logs: Floats) -> NDArray[np.bool_]:  # (symbols,)
    return np.asarray(np.isnan(logs[-MAX_SILENT_ROWS:]).all(axis=0))


def _packed_to_the_end(logs: Floats) -> Floats:
    """Each column's values moved down over its gaps, so that the last row holds every symbol's last close."""
    order = np.argsort(~np.isnan(logs), axis=0, kind="stable")
    return np.take_along_axis(logs, order, axis=0)
