"""Changes of the dominant regime, from which signals are derived."""

import time
from collections.abc import Callable, Iterator
from datetime import date
from typing import Self

import numpy as np

from regime.domain.columns import NO_REGIME, SCORE_SCALE, Columns, are_current, changed_symbols, positions
from regime.domain.prices import Closes
from regime.domain.state import REGIMES, TIMEFRAMES, dominant_regimes
from regime.services.cycle import states_of_closes
from regime.services.refresher import CollectionBuild
from regime.store.collection_store import CollectionStore

Change = tuple[str, str, float]  # symbol, its new dominant regime, the score of that


class Transitions:
    """Compares the current states with the cycle before. ``clock`` gives Unix seconds."""

    def __init__(self, store: CollectionStore, build: CollectionBuild, clock: Callable[[], float]) -> None:
        self._store = store
        self._build = build
        self._clock = clock

    @classmethod
    def connect(cls, clock: Callable[[], float]) -> Self:
        return cls(CollectionStore.connect(), CollectionBuild.connect(), clock)

    def changes(self, timeframe: str) -> tuple[str, list[Change]]:
        """The id of the newest cycle and the changes, by symbol, since the cycle of the request before.

        Every request about one cycle gets the same answer, except for states that expire meanwhile. The id is ``""``
        before the first cycle. Raises ValueError on an unknown timeframe.
        """
        if timeframe not in TIMEFRAMES:
            raise ValueError(f"unknown timeframe {timeframe!r}; known are {' '.join(TIMEFRAMES)}")
        pointer = self._store.pointer()
        if not pointer.cycle:
            return "", []
        dominance_log = self._store.load_dominance_log(pointer.ledger)
        if dominance_log is None:
            return pointer.cycle_id, []
        since = self._store.mark_derived(timeframe, pointer.cycle)
        now = self._clock()
        held = self._store.load(pointer.collection, in_steps=True)
        columns = self._build.build(now)[0] if held is None else held.columns
        return pointer.cycle_id, _described(columns, changed_symbols(dominance_log, timeframe, since), timeframe, now)


def changes_of_dominant_regime(timeframe: str) -> tuple[str, list[Change]]:
    """(cycle id, [(symbol, new dominant regime, its score)]): what settings.SIGNALS["CHANGES"] names."""
    return Transitions.connect(time.time).changes(timeframe)


def _described(columns: Columns, changed: "np.typing.NDArray[np.bytes_]", timeframe: str, now: float) -> list[Change]:
    found = positions(columns.symbols, changed)
    found = found[found >= 0]
    found = found[are_current(columns.stamps[found], now)]
    index = TIMEFRAMES.index(timeframe)
    dominants = columns.dominants[index, found]
    found, dominants = found[dominants != NO_REGIME], dominants[dominants != NO_REGIME]
    scores = columns.scores[dominants.astype(np.intp) + index * len(REGIMES), found] / SCORE_SCALE
    symbols = columns.symbols[found].tolist()
    return [
        (symbol.decode(), REGIMES[dominant], score)
        for symbol, dominant, score in zip(symbols, dominants.tolist(), scores.round(5).tolist(), strict=True)
    ]


DominantByName = dict[str, tuple[str, float]]  # symbol -> its dominant regime, the score of that


def changes_by_day(closes: Closes, timeframe: str, days: int) -> Iterator[tuple[date, Change]]:
    """Those of the last ``days`` days, in the order of days and symbols. Each day is scored when it is reached."""
    before: DominantByName = {}
    for day in closes.days[-days - 1 :]:
        dominants = _dominants_of(closes.up_to(day), TIMEFRAMES.index(timeframe))
        for symbol, (regime, score) in sorted(dominants.items()):
            if symbol in before and before[symbol][0] != regime:
                yield day, (symbol, regime, score)
        before = dominants


def _dominants_of(closes: Closes, index: int) -> DominantByName:
    found: DominantByName = {}
    for state in states_of_closes(closes, computed_at=0.0):
        regime = dominant_regimes(state.scores)[index]
        score = None if regime is None else state.scores[index * len(REGIMES) + regime]
        if regime is not None and score is not None:
            found[state.symbol] = (REGIMES[regime], score)
    return found
