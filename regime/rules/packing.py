"""Columns as a few compressed byte strings, for Redis."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import zstandard
from numpy.typing import NDArray

from regime.rules.columns import Columns
from regime.rules.state import FIELDS, TIMEFRAMES

_LEVEL = 1  # the scores hardly shrink, and loading must be fast


class PackingError(ValueError):
    """Bytes that are no packed columns: another format, or a part is missing."""


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> dict[str, bytes]:
    """Each array compressed under its name, and under ``shapes`` how to read them back."""
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    shapes = {name: [array.dtype.str, *array.shape] for name, array in arrays.items()}
    packed = {name: compressor.compress(np.ascontiguousarray(array).tobytes()) for name, array in arrays.items()}
    return {"shapes": orjson.dumps(shapes), **packed}


def unpack_arrays(packed: Mapping[bytes, bytes]) -> dict[str, NDArray[Any]]:
    """The arrays that ``pack_arrays`` packed, read-only. Raises PackingError."""
    try:
        shapes = orjson.loads(packed[b"shapes"])
        return {name: _unpacked(packed[name.encode()], *shape) for name, shape in shapes.items()}
    except (KeyError, ValueError, zstandard.ZstdError) as error:
        raise PackingError(f"these are no packed columns: {error!r}") from error


def _unpacked(blob: bytes, kind: str, *shape: int) -> NDArray[Any]:
    size = np.dtype(kind).itemsize * math.prod(shape)
    raw = zstandard.ZstdDecompressor().decompress(blob, max_output_size=max(size, 1))
    return np.frombuffer(raw, dtype=kind).reshape(shape)


def pack_columns(columns: Columns) -> dict[str, bytes]:
    """The scores go by timeframe, so that no single value is large."""
    per_timeframe = np.split(columns.scores, len(TIMEFRAMES))
    scores = {f"scores:{timeframe}": part for timeframe, part in zip(TIMEFRAMES, per_timeframe, strict=True)}
    whole = {name: getattr(columns, name) for name in Columns.__slots__ if name != "scores"}
    return pack_arrays({**whole, **scores})


def unpack_columns(packed: Mapping[bytes, bytes]) -> Columns:
    """Raises PackingError."""
    arrays = unpack_arrays(packed)
    try:
        scores = np.empty((len(FIELDS), len(arrays["symbols"])), dtype=np.uint16)
        for place, timeframe in enumerate(TIMEFRAMES):
            scores[place * 5 : place * 5 + 5] = arrays[f"scores:{timeframe}"]
        return Columns(arrays["symbols"], arrays["stamps"], scores, arrays["dominants"], arrays["through"])
    except (KeyError, ValueError) as error:
        raise PackingError(f"these are no packed columns: {error!r}") from error
