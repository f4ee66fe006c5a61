"""Many raw hashes to columns at once, for reading the whole universe."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import orjson
from numpy.typing import NDArray

from regime.rules.data_through import known_data_through
from regime.rules.state import AS_WE_WRITE, DATA_THROUGH, FIELDS

_WITH_THROUGH = [*AS_WE_WRITE, DATA_THROUGH]


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
    """Full, well-formed states as arrays, ``scores`` (n, 40), ``through`` as ``known_data_through`` gives it, and the
    symbols of odd ones, which need a closer look."""

    symbols: list[bytes]
    stamps: NDArray[np.float64]
    scores: NDArray[np.float64]
    through: list[bytes]
    odd: list[bytes]


def decode_in_bulk(raw: RawStates) -> Decoded:
    """Takes the hashes that our own writers, or others like them, wrote in full; every other one is left as odd."""
    odd: list[bytes] = []
    texts = _values(raw.hashes)
    if texts is None:
        names = _usual_names(raw.hashes)
        are_usual = [one[0::2] == names for one in raw.hashes]
        odd = raw.only([not is_usual for is_usual in are_usual]).symbols
        raw = raw.only(are_usual)
        texts = _values(raw.hashes) or _Values([], [])
    table = _numbers(texts.numbers)
    if table is None:
        return Decoded([], np.empty(0), np.empty((0, len(FIELDS))), [], raw.symbols + odd)
    through = texts.through or [b""] * len(raw)
    is_good = table[:, 1:].max(axis=1, initial=0.0) <= 1.0
    if not is_good.all():
        odd += raw.only((~is_good).tolist()).symbols
        through = [one for one, is_one_good in zip(through, is_good.tolist(), strict=True) if is_one_good]
        raw, table = raw.only(is_good.tolist()), table[is_good]
    return Decoded(raw.symbols, table[:, 0], table[:, 1:], through, odd)


@dataclass(frozen=True, slots=True)
class _Values:
    """The values of all hashes one after the other; ``through`` is empty where no hash has one."""

    numbers: list[bytes]
    through: list[bytes]


def _usual_names(hashes: Sequence[Sequence[bytes]]) -> list[bytes]:
    """The fields that we write, with or without ``data_through``, whichever more of the hashes have."""
    with_through = sum(len(one) == 2 * len(_WITH_THROUGH) for one in hashes)
    return _WITH_THROUGH if 2 * with_through > len(hashes) else AS_WE_WRITE


def _values(hashes: Sequence[Sequence[bytes]]) -> _Values | None:
    """The values of all hashes, None unless all have just the fields that we write, in order."""
    flat = list(chain.from_iterable(hashes))
    names, values = flat[0::2], flat[1::2]
    if names == AS_WE_WRITE * len(hashes):
        return _Values(values, [])
    if names != _WITH_THROUGH * len(hashes):
        return None
    written = values[len(AS_WE_WRITE) :: len(_WITH_THROUGH)]
    del values[len(AS_WE_WRITE) :: len(_WITH_THROUGH)]
    known = {text: known_data_through(text) for text in set(written)}
    return _Values(values, [known[text] for text in written])


def _numbers(texts: Sequence[bytes]) -> NDArray[np.float64] | None:
    joined = b",".join(texts)
    if joined.translate(None, b"0123456789.,"):
        return None
    try:
        numbers = np.array(orjson.loads(b"[" + joined + b"]"), dtype=np.float64)
    except orjson.JSONDecodeError:
        return None
    return numbers.reshape(-1, len(AS_WE_WRITE)) if len(numbers) == len(texts) else None
