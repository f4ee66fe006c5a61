"""States as NDJSON lines: ``{"symbol", "computed_at", "scores": {"1w": {"bull": 0.8, …}, …}}`` , ``"data_through"``."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson

from avo_project.lib.ndjson import numbered_lines
from regime.domain.data_through import data_age, known_data_through
from regime.domain.freshness import FUTURE_TOLERANCE_SECONDS
from regime.domain.state import REGIMES, TIMEFRAMES, RegimeState, Scores, SymbolError, valid_symbol

_SCORE_TYPES = {float, int, type(None)}


class BadLineError(ValueError):
    """An invalid line; the message says what is wrong."""


def state_of_line(line: bytes, now: float) -> RegimeState:
    """The state in ``line``; ``now`` is in Unix seconds. Raises BadLineError."""
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadLineError(f"not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise BadLineError("not a JSON object")
    return RegimeState(
        _symbol(fields.get("symbol")),
        _stamp(fields.get("computed_at"), now),
        _scores(fields.get("scores")),
        _through(fields.get("data_through"), now),
    )


def _symbol(value: Any) -> str:
    if not isinstance(value, str):
        raise BadLineError("symbol is missing or no string")
    try:
        return valid_symbol(value)
    except SymbolError as error:
        raise BadLineError(str(error)) from error


def _stamp(value: Any, now: float) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
        raise BadLineError("computed_at is missing or no number of Unix seconds")
    if value > now + FUTURE_TOLERANCE_SECONDS:
        raise BadLineError(f"computed_at is {value - now:.0f} s in the future; it is in Unix seconds")
    return float(value)


def _through(value: Any, now: float) -> bytes:
    if value is None:
        return b""
    is_text = type(value) in (str, int, float)
    known = known_data_through(str(value).encode(errors="replace")) if is_text else b""
    if not known:
        raise BadLineError("data_through is no ISO date like 2026-01-31 and no number of Unix seconds")
    if data_age(known, now) is None:
        raise BadLineError(f"data_through is {value}, which is still to come")
    return known


def _scores(value: Any) -> Scores:
    if not isinstance(value, dict) or not all(isinstance(row, dict) for row in value.values()):
        raise BadLineError("scores is missing or no object of objects")
    empty: dict[str, Any] = {}
    scores = [score for timeframe in TIMEFRAMES for score in map(value.get(timeframe, empty).get, REGIMES)]
    known = [score for score in scores if score is not None]
    if sum(map(len, value.values())) != len(known):
        _refuse_unknown_names(value)
    if not known:
        raise BadLineError("scores has no score")
    if not set(map(type, scores)) <= _SCORE_TYPES or min(known) < 0 or max(known) > 1:
        raise BadLineError("a score is not a number in 0..1")
    return tuple(scores)


def _refuse_unknown_names(scores: dict[str, dict[str, Any]]) -> None:
    for timeframe, row in scores.items():
        if timeframe not in TIMEFRAMES:
            raise BadLineError(f"unknown timeframe {timeframe!r}; known are {' '.join(TIMEFRAMES)}")
        for regime in row:
            if regime not in REGIMES:
                raise BadLineError(f"unknown regime {regime!r}; known are {' '.join(REGIMES)}")


class StateLines:
    """Iterates over the states in ``lines``. ``bad`` counts invalid lines; ``on_bad`` gets their number and reason.

    ``clock`` gives Unix seconds. Empty lines are skipped.
    """

    def __init__(self, lines: Iterable[bytes], clock: Callable[[], float], on_bad: Callable[[int, str], None]) -> None:
        self._lines = lines
        self._clock = clock
        self._on_bad = on_bad
        self.bad = 0

    def __iter__(self) -> Iterator[RegimeState]:
        for number, line in numbered_lines(self._lines):
            try:
                yield state_of_line(line, self._clock())
            except BadLineError as error:
                self.bad += 1
                self._on_bad(number, str(error))
