"""The dominance log: for every symbol its dominant regimes in the last cycle that wrote it and in the one before that.

A cycle is one run of our writers. The log outlives the states, so that a change over a weekend is still a change.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regime.domain.columns import NO_REGIME, Columns, positions
from regime.domain.state import TIMEFRAMES


@dataclass(frozen=True, slots=True, eq=False)
class DominanceLog:
    """Rows sorted by symbol. ``newest`` and ``before`` are shaped as Columns.dominants; ``before`` is NO_REGIME where
    no earlier cycle wrote the symbol; ``cycles`` (n,) uint32 is the number of the last cycle that wrote it."""

    symbols: NDArray[np.bytes_]
    newest: NDArray[np.uint8]
    before: NDArray[np.uint8]
    cycles: NDArray[np.uint32]


def empty_dominance_log() -> DominanceLog:
    nothing = np.empty((len(TIMEFRAMES), 0), dtype=np.uint8)
    return DominanceLog(np.empty(0, "S1"), nothing, nothing, np.empty(0, dtype=np.uint32))


def after_cycle(log: DominanceLog, written: Columns, cycle: int) -> DominanceLog:
    """The log once cycle number ``cycle`` has written these states: only their rows change."""
    indexes = positions(log.symbols, written.symbols)
    kept = np.ones(len(log.symbols), dtype=bool)
    kept[indexes[indexes >= 0]] = False
    before = np.full_like(written.dominants, NO_REGIME)
    before[:, indexes >= 0] = log.newest[:, indexes[indexes >= 0]]
    symbols = np.concatenate([log.symbols[kept], written.symbols])
    order = np.argsort(symbols, kind="stable")
    return DominanceLog(
        symbols[order],
        np.concatenate([log.newest[:, kept], written.dominants], axis=1)[:, order],
        np.concatenate([log.before[:, kept], before], axis=1)[:, order],
        np.concatenate([log.cycles[kept], np.full(len(written), cycle, dtype=np.uint32)])[order],
    )


def changed_symbols(log: DominanceLog, timeframe: str, since_cycle: int) -> NDArray[np.bytes_]:
    """Symbols written after cycle ``since_cycle`` whose dominant regime is not that of their cycle before."""
    index = TIMEFRAMES.index(timeframe)
    changed: NDArray[np.bytes_] = log.symbols[(log.cycles > since_cycle) & (log.newest[index] != log.before[index])]
    return changed
