"""Many states as columns: numpy arrays that a whole universe fits in, about 115 bytes a state; the dominance log; and
both as a few compressed byte strings, for Redis.

The dominance log has for every symbol its dominant regimes in the last cycle that wrote it and in the one before that.
A cycle is one run of our writers. The log outlives the states, so that a change over a weekend is still a change.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import zstandard
from numpy.typing import NDArray

from regime.domain.freshness import FUTURE_TOLERANCE_SECONDS, LIFE_SECONDS, OLD_SECONDS, data_ends
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
    """``dominant_regimes`` of many states at once."""
    cube = np.where(np.isnan(scores), -1.0, scores).reshape(-1, len(TIMEFRAMES), len(REGIMES))
    highest = np.where(cube.max(axis=2) < 0.0, NO_REGIME, cube.argmax(axis=2))
    return np.ascontiguousarray(highest.astype(np.uint8).T)


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


_LEVEL = 1  # the scores hardly shrink, and loading must be fast

# What changes a format gets the next number, so that another version of the program takes it for missing.
_COLLECTION_FORMAT = 2
_DOMINANCE_LOG_FORMAT = 1
_UNNUMBERED = b"1"  # as all were before they had a number

# The kind of element of each array. All are (n,) but for those by timeframe, which are (len(TIMEFRAMES), n).
_COLUMN_KINDS = {"symbols": "S", "stamps": "f8", "dominants": "u1", "through": "S"}
_DOMINANCE_LOG_KINDS = {"symbols": "S", "newest": "u1", "before": "u1", "cycles": "u4"}
_BY_TIMEFRAME = {"dominants", "newest", "before"}


class PackingError(ValueError):
    """Bytes that cannot be read: another format, or a part that is missing or broken."""


def pack_dominance_log(log: DominanceLog) -> dict[str, bytes]:
    return _pack({name: getattr(log, name) for name in DominanceLog.__slots__}, _DOMINANCE_LOG_FORMAT)


def unpack_dominance_log(packed: Mapping[bytes, bytes]) -> DominanceLog:
    """Raises PackingError."""
    return DominanceLog(**_checked(_unpack(packed, _DOMINANCE_LOG_FORMAT), _DOMINANCE_LOG_KINDS))


def _pack(arrays: Mapping[str, NDArray[Any]], number: int) -> dict[str, bytes]:
    """Each array compressed under its name, under ``shapes`` how to read them back, and the number of the format."""
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    shapes = {name: [array.dtype.str, *array.shape] for name, array in arrays.items()}
    packed = {name: compressor.compress(np.ascontiguousarray(array).tobytes()) for name, array in arrays.items()}
    return {"format": b"%d" % number, "shapes": orjson.dumps(shapes), **packed}


def _unpack(packed: Mapping[bytes, bytes], number: int) -> dict[str, NDArray[Any]]:
    """The arrays that ``_pack`` packed, read-only. Raises PackingError."""
    given = packed.get(b"format", _UNNUMBERED)
    if given != b"%d" % number:
        raise PackingError(f"format {given[:20]!r} instead of {number}")
    try:
        shapes = orjson.loads(packed[b"shapes"])
        return {name: _unpacked(packed[name.encode()], *shape) for name, shape in shapes.items()}
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError, zstandard.ZstdError) as error:
        raise PackingError(f"a part is missing or broken: {error!r}") from error


def _checked(arrays: dict[str, NDArray[Any]], kinds: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """``arrays``, if they are those of ``kinds`` and of one length."""
    found = {name: arrays[name] for name in kinds if name in arrays}
    if len(found) < len(kinds):
        raise PackingError(f"it lacks {' '.join(kinds.keys() - found.keys())}")
    count = len(found["symbols"])
    for name, array in found.items():
        shape = (len(TIMEFRAMES), count) if name in _BY_TIMEFRAME else (count,)
        if array.shape != shape or not array.dtype.str[1:].startswith(kinds[name]):
            raise PackingError(f"{name} is {array.dtype} {array.shape} instead of {kinds[name]} {shape}")
    return found


def _unpacked(blob: bytes, kind: str, *shape: int) -> NDArray[Any]:
    size = np.dtype(kind).itemsize * math.prod(shape)
    raw = zstandard.ZstdDecompressor().decompress(blob, max_output_size=max(size, 1))
    return np.frombuffer(raw, dtype=kind).reshape(shape)


def pack_columns(columns: Columns) -> dict[str, bytes]:
    """The scores go by timeframe, so that no single value is large."""
    per_timeframe = np.split(columns.scores, len(TIMEFRAMES))
    scores = {f"scores:{timeframe}": part for timeframe, part in zip(TIMEFRAMES, per_timeframe, strict=True)}
    whole = {name: getattr(columns, name) for name in Columns.__slots__ if name != "scores"}
    return _pack({**whole, **scores}, _COLLECTION_FORMAT)


def unpack_columns(packed: Mapping[bytes, bytes]) -> Columns:
    """Raises PackingError."""
    arrays = _unpack(packed, _COLLECTION_FORMAT)
    whole = _checked(arrays, _COLUMN_KINDS)
    try:
        scores = np.empty((len(FIELDS), len(whole["symbols"])), dtype=np.uint16)
        for part, timeframe in zip(np.split(scores, len(TIMEFRAMES)), TIMEFRAMES, strict=True):
            part[:] = arrays[f"scores:{timeframe}"]
    except (KeyError, ValueError) as error:
        raise PackingError(f"scores are missing or broken: {error!r}") from error
    return Columns(scores=scores, **whole)
