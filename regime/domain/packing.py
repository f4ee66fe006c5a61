"""Columns and the dominance log as a few compressed byte strings, for Redis."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import zstandard
from numpy.typing import NDArray

from regime.domain.columns import Columns
from regime.domain.dominance_log import DominanceLog
from regime.domain.state import FIELDS, TIMEFRAMES

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
