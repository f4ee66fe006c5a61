"""Many states as columns: numpy arrays that a whole universe fits in, about 100 bytes a state."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regime.domain.data_through import OLD_SECONDS, data_ends
from regime.domain.freshness import FUTURE_TOLERANCE_SECONDS, LIFE_SECONDS
from regime.domain.state import FIELDS, REGIMES, TIMEFRAMES, Scores

# Divisible by 10,000, so that scores of four decimals come back as they were.
SCORE_SCALE = 60_000
NO_SCORE = 65_535
NO_REGIME = 255


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """States sorted by symbol, each symbol once.

    ``symbols`` is (n,) of ASCII bytes; ``stamps`` (n,) float64, when each was computed in Unix seconds; ``scores``
    uint16, a row for each of FIELDS, score x SCORE_SCALE or NO_SCORE; ``dominants`` uint8, a row for each of
    TIMEFRAMES, the index of the dominant regime or NO_REGIME, taken from the unrounded scores; ``through`` (n,) of
    ASCII bytes, until when the data reaches, as ``known_data_through`` gives it.
    """

    symbols: NDArray[np.bytes_]
    stamps: NDArray[np.float64]
    scores: NDArray[np.uint16]
    dominants: NDArray[np.uint8]
    through: NDArray[np.bytes_]

    def __len__(self) -> int:
        return len(self.symbols)

    def take(self, where: NDArray[np.intp] | NDArray[np.bool_]) -> "Columns":
        """The states at these positions, which must keep the order."""
        return Columns(*(getattr(self, name)[..., where] for name in Columns.__slots__))


def same_states(one: Columns, other: Columns) -> bool:
    """Whether both hold the same."""
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in Columns.__slots__)


def empty_columns() -> Columns:
    return columns_of([], np.empty(0), np.empty((0, len(FIELDS))), [])


def columns_of(
    symbols: Sequence[bytes], stamps: NDArray[np.float64], scores: NDArray[np.float64], through: Sequence[bytes]
) -> Columns:
    """Columns of states in any order; ``scores`` is (n, len(FIELDS)), NaN for none. Keeps the newest of each symbol."""
    return _newest_of_each(part_of(symbols, stamps, scores, through))


def part_of(
    symbols: Sequence[bytes], stamps: NDArray[np.float64], scores: NDArray[np.float64], through: Sequence[bytes]
) -> Columns:
    """The same as they come, neither sorted nor each once: only ``merged`` makes true columns of such parts."""
    return Columns(
        np.array(symbols, dtype=np.bytes_) if len(symbols) else np.empty(0, "S1"),
        np.asarray(stamps, dtype=np.float64),
        _packed(scores),
        _dominants(scores),
        np.array(through, dtype=np.bytes_) if len(through) else np.empty(0, "S1"),
    )


def score_matrix(scores: Sequence[Scores]) -> NDArray[np.float64]:
    """(n, len(FIELDS)) float64 of the given scores, NaN for None."""
    return np.array(scores, dtype=np.float64).reshape(-1, len(FIELDS))


def merged(parts: Sequence[Columns]) -> Columns:
    """All states of ``parts``; of a repeated symbol the newest, and of equally new ones the one of the later part."""
    if not parts:
        return empty_columns()
    return _newest_of_each(
        Columns(*(np.concatenate([getattr(part, name) for part in parts], axis=-1) for name in Columns.__slots__))
    )


def positions(symbols: NDArray[np.bytes_], wanted: NDArray[np.bytes_] | Sequence[bytes]) -> NDArray[np.intp]:
    """The index of each wanted symbol in the sorted ``symbols``; -1 where it is missing."""
    if not len(symbols):
        return np.full(len(wanted), -1, dtype=np.intp)
    width = symbols.dtype.itemsize
    wider = np.asarray(wanted, dtype=f"S{width + 1}")
    is_longer = wider.view(np.uint8)[width :: width + 1] != 0
    same_width = wider.astype(symbols.dtype)  # or all of ``symbols`` would be converted for each search
    indexes = np.searchsorted(symbols, same_width).clip(max=len(symbols) - 1)
    return np.where((symbols[indexes] == same_width) & ~is_longer, indexes, -1)


def are_current(stamps: NDArray[np.float64], now: float) -> NDArray[np.bool_]:
    """Which of these moments of computation make a state current at ``now``: ``freshness_at`` for many at once."""
    ages = now - stamps
    return (ages < LIFE_SECONDS) & (ages >= -FUTURE_TOLERANCE_SECONDS)


def old_data(columns: Columns, now: float) -> int:
    """How many states say that their data ends more than OLD_SECONDS before ``now`` (Unix seconds)."""
    return int((data_ends(columns.through) < now - OLD_SECONDS).sum())


def newest_data(columns: Columns) -> bytes:
    """The ``through`` that reaches furthest, ``b""`` where no state has one."""
    ends = data_ends(columns.through)
    return b"" if np.isnan(ends).all() else bytes(columns.through[np.nanargmax(ends)])


def _newest_of_each(columns: Columns) -> Columns:
    order = np.lexsort((columns.stamps, columns.symbols))  # stable: later parts stay behind earlier ones
    symbols = columns.symbols[order]
    is_last = np.append(symbols[1:] != symbols[:-1], np.True_) if len(symbols) else np.empty(0, dtype=bool)
    return columns.take(order[is_last])


def _packed(scores: NDArray[np.float64]) -> NDArray[np.uint16]:
    scaled = np.rint(np.nan_to_num(scores) * SCORE_SCALE).astype(np.uint16)
    return np.ascontiguousarray(np.where(np.isnan(scores), np.uint16(NO_SCORE), scaled).T)


def _dominants(scores: NDArray[np.float64]) -> NDArray[np.uint8]:
    cube = np.where(np.isnan(scores), -1.0, scores).reshape(-1, len(TIMEFRAMES), len(REGIMES))
    highest = np.where(cube.max(axis=2) < 0.0, NO_REGIME, cube.argmax(axis=2))
    return np.ascontiguousarray(highest.astype(np.uint8).T)
