"""Many raw hashes to columns at once, for reading the whole universe."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import orjson
from numpy.typing import NDArray

from regime.rules.state import FIELDS

_AS_WE_WRITE = [b"computed_at", *(field.encode() for field in FIELDS)]


@dataclass(frozen=True, slots=True)
class RawStates:
    """Symbols and beside each its hash: field, value, field, value, …"""

    symbols: list[bytes]
    hashes: list[Sequence[bytes]]

    def __len__(self) -> int:
        return len(self.symbols)

    def only(self, chosen: Sequence[bool]) -> "RawStates":
        return RawStates(
            [symbol for symbol, is_chosen in zip(self.symbols, chosen, strict=True) if is_chosen],
            [one for one, is_chosen in zip(self.hashes, chosen, strict=True) if is_chosen],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Full, well-formed states as arrays, ``scores`` (n, 40), and the symbols of odd ones, which need a closer look."""

    symbols: list[bytes]
    stamps: NDArray[np.float64]
    scores: NDArray[np.float64]
    odd: list[bytes]


def decode_in_bulk(raw: RawStates) -> Decoded:
    """Takes the hashes that our own writers, or others like them, wrote in full; every other one is left as odd."""
    odd: list[bytes] = []
    texts = _values(raw.hashes)
    if texts is None:
        are_usual = [one[0::2] == _AS_WE_WRITE for one in raw.hashes]
        odd = raw.only([not is_usual for is_usual in are_usual]).symbols
        raw = raw.only(are_usual)
        texts = _values(raw.hashes) or []
    table = _numbers(texts)
    if table is None:
        return Decoded([], np.empty(0), np.empty((0, len(FIELDS))), raw.symbols + odd)
    is_good = table[:, 1:].max(axis=1, initial=0.0) <= 1.0
    if not is_good.all():
        odd += raw.only((~is_good).tolist()).symbols
        raw, table = raw.only(is_good.tolist()), table[is_good]
    return Decoded(raw.symbols, table[:, 0], table[:, 1:], odd)


def _values(hashes: Sequence[Sequence[bytes]]) -> list[bytes] | None:
    """The values of all hashes one after the other, None unless all have just the fields that we write, in order."""
    flat = list(chain.from_iterable(hashes))
    return flat[1::2] if flat[0::2] == _AS_WE_WRITE * len(hashes) else None


def _numbers(texts: Sequence[bytes]) -> NDArray[np.float64] | None:
    joined = b",".join(texts)
    if joined.translate(None, b"0123456789.,"):
        return None
    try:
        numbers = np.array(orjson.loads(b"[" + joined + b"]"), dtype=np.float64)
    except orjson.JSONDecodeError:
        return None
    return numbers.reshape(-1, len(_AS_WE_WRITE)) if len(numbers) == len(texts) else None
