"""Many raw hashes to columns at once, for reading the whole universe."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray

from regime.state import FIELDS

RawState = tuple[bytes, Sequence[bytes]]  # symbol, then field, value, field, value, …

_AS_WE_WRITE = [b"computed_at", *(field.encode() for field in FIELDS)]


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Full, well-formed states as arrays, ``scores`` (n, 40), and ``odd`` ones, which need a closer look."""

    symbols: list[bytes]
    stamps: NDArray[np.float64]
    scores: NDArray[np.float64]
    odd: list[RawState]


def decode_in_bulk(raw: Sequence[RawState]) -> Decoded:
    """Takes the hashes that our own writers, or others like them, wrote in full; every other one is left as odd."""
    texts = _values(raw)
    if texts is None:
        usual = [state for state in raw if state[1][0::2] == _AS_WE_WRITE]
        odd = [state for state in raw if state[1][0::2] != _AS_WE_WRITE]
        texts = _values(usual) or []
    else:
        usual, odd = list(raw), []
    table = _numbers(texts)
    if table is None:
        return Decoded([], np.empty(0), np.empty((0, len(FIELDS))), list(raw))
    is_good = table[:, 1:].max(axis=1, initial=0.0) <= 1.0
    if not is_good.all():
        odd += [usual[place] for place in np.flatnonzero(~is_good)]
        usual = [usual[place] for place in np.flatnonzero(is_good)]
        table = table[is_good]
    return Decoded([symbol for symbol, _ in usual], table[:, 0], table[:, 1:], odd)


def _values(raw: Sequence[RawState]) -> list[bytes] | None:
    """The values of all hashes one after the other, None unless all have just the fields that we write, in order."""
    flat: list[bytes] = []
    for _, pairs in raw:
        flat += pairs
    return flat[1::2] if flat[0::2] == _AS_WE_WRITE * len(raw) else None


def _numbers(texts: Sequence[bytes]) -> NDArray[np.float64] | None:
    joined = b",".join(texts)
    if joined.translate(None, b"0123456789.,"):
        return None
    try:
        numbers = np.array(orjson.loads(b"[" + joined + b"]"), dtype=np.float64)
    except orjson.JSONDecodeError:
        return None
    return numbers.reshape(-1, len(_AS_WE_WRITE)) if len(numbers) == len(texts) else None
