"""Which symbols changed their dominant regime: what signals are derived from."""

import time
from collections.abc import Callable
from typing import Self

import numpy as np

from regime.domain.columns import NO_REGIME, SCORE_SCALE, Columns, are_current, positions
from regime.domain.dominance_log import changed_symbols
from regime.domain.state import REGIMES, TIMEFRAMES
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
        """The id of the newest cycle and, by symbol, what changed in the cycles that were not asked for before it.

        The same answer for every question about one cycle, but for states that expire meanwhile. Without any cycle the
        id is ``""``. Raises ValueError on an unknown timeframe.
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
