"""Rows of a listing as JSON, joined from columns of ready-made text.

A thousand rows take half the time that orjson needs for them as dictionaries, which would have to be made first.
"""

from functools import cache, reduce

import numpy as np
import orjson
from numpy.typing import NDArray

from regime.domain.columns import SCORE_SCALE
from regime.domain.freshness import data_through_value
from regime.domain.state import REGIMES, TIMEFRAMES

Texts = NDArray[np.bytes_]  # (n,)

_TENS = 10_000


class RowText:
    """Writes rows about ``symbols`` (n,), which were computed at ``stamps`` (n,), in Unix seconds, from data that
    reaches ``through`` (n,), as ``known_data_through`` gives it."""

    def __init__(self, symbols: Texts, stamps: NDArray[np.float64], through: Texts) -> None:
        self._heads = _joined(
            b'{"symbol":"',
            _escaped(symbols),
            b'","computed_at":',
            stamp_texts(stamps),
            b',"data_through":',
            _through_texts(through),
        )

    def rows(
        self, where: NDArray[np.intp], timeframe: str, regimes: NDArray[np.uint8], scores: NDArray[np.uint16]
    ) -> bytes:
        """The rows of the positions ``where`` (m,), separated by commas, with their regimes (m,) as places in REGIMES
        and packed scores (m,)."""
        return b",".join(_joined(self._heads[where], _middles(timeframe)[regimes], _tails()[scores]).tolist())


def _joined(*columns: Texts | bytes) -> Texts:
    """In each row the texts of all columns (n,), and those that are the same in every row."""
    texts: Texts = reduce(np.strings.add, columns)  # type: ignore[arg-type]
    return texts


def stamp_texts(stamps: NDArray[np.float64]) -> Texts:
    """Unix seconds as JSON, whole ones without a fraction."""
    whole = stamps.astype(np.int64)
    if not len(stamps) or (whole != stamps).any() or whole.min() < _TENS**2 or whole.max() >= _TENS**3:
        listed = orjson.dumps(np.ascontiguousarray(stamps), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")
        return np.array([text.removesuffix(b".0") for text in listed[: len(stamps)]], dtype=np.bytes_)
    upper, low = np.divmod(whole, _TENS)
    high, middle = np.divmod(upper, _TENS)
    leading, following = _fours()
    return _joined(leading[high], following[middle], following[low])


def _through_texts(through: Texts) -> Texts | bytes:
    if len(through) and (through == through[0]).all():  # as a rule
        return orjson.dumps(data_through_value(bytes(through[0])))
    texts = through.tolist()
    json = {text: orjson.dumps(data_through_value(text)) for text in set(texts)}
    return np.array([json[text] for text in texts], dtype=np.bytes_) if texts else through


def _escaped(symbols: Texts) -> Texts:
    symbols = symbols.astype(f"S{symbols.itemsize + 1}")  # numpy 2.4 replaces nothing in texts of one character
    for char in (b"\\", b'"'):
        if char in symbols.tobytes():
            symbols = np.strings.replace(symbols, char, b"\\" + char)
    return symbols


@cache
def _fours() -> tuple[Texts, Texts]:
    """The numbers of up to four digits as the leading digits of a number, and as the following ones."""
    return np.array([b"%d" % n for n in range(_TENS)]), np.array([b"%04d" % n for n in range(_TENS)])


@cache
def _tails() -> Texts:
    """Every packed score as JSON, rounded to five decimals, and the end of a row."""
    scores = (np.arange(SCORE_SCALE + 1) / SCORE_SCALE).round(5)
    return np.array([text + b"}" for text in orjson.dumps(scores, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")])


@cache
def _middles(timeframe: str) -> Texts:
    """The JSON between stamp and score, for each of REGIMES. Raises ValueError on what is no timeframe."""
    if timeframe not in TIMEFRAMES:
        raise ValueError(f"no timeframe: {timeframe}")
    return np.array([f',"timeframe":"{timeframe}","regime":"{regime}","score":'.encode() for regime in REGIMES])
