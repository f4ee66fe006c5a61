"""The state of one symbol, a score for each regime in each timeframe, and its parsers: of the fields in Redis, and of
NDJSON lines ``{"symbol", "computed_at", "scores": {"1w": {"bull": 0.8, …}, …}}``, with or without ``"data_through"``.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from avo_project.lib.decimals import decimal_of
from avo_project.lib.ndjson import numbered_lines
from regime.domain.freshness import FUTURE_TOLERANCE_SECONDS, Classification, classify, data_age, known_data_through

REGIMES = ("bull", "bear", "sideways", "volatile", "calm")
WINDOW_DAYS = {"1w": 5, "2w": 10, "1mo": 21, "2mo": 42, "3mo": 63, "6mo": 126, "1y": 252, "2y": 504}
"""By timeframe how many trading days it covers."""
TIMEFRAMES = tuple(WINDOW_DAYS)
DEFAULT_TIMEFRAME = "1mo"
FIELDS = tuple(f"{regime}:{timeframe}" for timeframe in TIMEFRAMES for regime in REGIMES)

Scores = tuple[float | None, ...]

_SYMBOL = re.compile(r"[!-`{-~]{1,64}")
_SYMBOLS = re.compile(rb"[!-`{-~]{1,64}(?:\n[!-`{-~]{1,64})*")
_FIELD_BYTES = tuple(field.encode() for field in FIELDS)
AS_WE_WRITE = [b"computed_at", *_FIELD_BYTES]
DATA_THROUGH = b"data_through"  # comes last, where it is known
_LAST_NAME = [DATA_THROUGH]
WITH_THROUGH = [*AS_WE_WRITE, DATA_THROUGH]
_SCORES = slice(3, 2 * len(AS_WE_WRITE), 2)
_PLAIN = b"0123456789.,"


class SymbolError(ValueError):
    """A symbol that no key may carry; the message says why."""


@dataclass(frozen=True, slots=True)
class RegimeState:
    """A state as a writer makes it: ``scores`` follow FIELDS, each in 0..1 or None; ``computed_at`` is Unix seconds;
    ``data_through`` as ``known_data_through`` gives it."""

    symbol: str
    computed_at: float
    scores: Scores
    data_through: bytes = b""


@dataclass(frozen=True, slots=True)
class StoredState:
    """A state as stored in Redis, by any writer.

    ``computed_at`` is None without that field and NaN when it is not a number; ``expires_at`` is the expiry of the key
    in Unix seconds, None for never; ``bad_fields`` counts scores left out because they are not a number in 0..1.
    """

    symbol: str
    computed_at: float | None
    expires_at: float | None
    backfilled_at: float | None
    scores: Scores
    bad_fields: int
    data_through: bytes = b""

    def classify(self, now: float) -> Classification:
        """Its freshness at ``now`` (Unix seconds)."""
        return classify(self.computed_at, self.expires_at, self.backfilled_at, now)


def valid_symbol(text: str) -> str:
    """``text`` in upper case. Raises SymbolError unless it is 1 to 64 printable ASCII characters without space."""
    if not 1 <= len(text) <= 64:
        raise SymbolError(f"A symbol has 1 to 64 characters, not {len(text)}.")
    symbol = text.upper()
    if not text.isascii() or _SYMBOL.fullmatch(symbol) is None:
        raise SymbolError("A symbol is printable ASCII without spaces or control characters, like BTC/USDT.")
    return symbol


def are_symbols(names: Sequence[bytes]) -> bool:
    """Whether all of ``names`` are symbols as keys carry them: in upper case."""
    joined = b"\n".join(names)
    return not names or (_SYMBOLS.fullmatch(joined) is not None and joined.count(b"\n") == len(names) - 1)


def dominant_regimes(scores: Scores) -> tuple[int | None, ...]:
    """For each timeframe the index of its highest score, of equals the first in REGIMES, None where there is none.

    ``columns`` has the same rule for many states at once.
    """
    width = len(REGIMES)
    return tuple(_highest(scores[start : start + width]) for start in range(0, len(FIELDS), width))


def _highest(scores: Scores) -> int | None:
    known = [score for score in scores if score is not None]
    return scores.index(max(known)) if known else None


def encode_scores(scores: Scores) -> bytes:
    """Scores in the order of FIELDS as decimal text, separated by commas, empty where there is none."""
    text = orjson.dumps(scores)[1:-1]
    if b"e" in text:  # 1e-7: other readers expect plain decimals
        text = b",".join(b"" if score is None else b"%.12f" % score for score in scores)
    return text.replace(b"null", b"")


def encode_stamp(unix_seconds: float) -> bytes:
    """Unix seconds as integer text where they are whole, else as the shortest decimal that is this number."""
    return b"%d" % unix_seconds if unix_seconds == int(unix_seconds) else repr(unix_seconds).encode()


def encode_values(state: RegimeState) -> list[bytes]:
    """The values of its hash in the order of WITH_THROUGH, ``b""`` for a score that is None; the last only if known."""
    values = [encode_stamp(state.computed_at), *encode_scores(state.scores).split(b",")]
    return [*values, state.data_through] if state.data_through else values


def encode_fields(state: RegimeState) -> list[bytes]:
    """Its hash as field, value, field, value, …; scores that are None are left out."""
    pairs = zip(WITH_THROUGH, encode_values(state), strict=False)
    return [part for pair in pairs if pair[1] for part in pair]


def decode_stamp(text: bytes | None) -> float | None:
    """Unix seconds as a hash holds them: None without that field, NaN when it is no number."""
    if text is None:
        return None
    stamp = decimal_of(text)
    return math.nan if stamp is None else stamp


def decode_state(symbol: str, flat: Sequence[bytes], expires_at: float | None) -> StoredState:
    """The state in ``flat``, the field, value, field, value, … of HGETALL. Unknown fields are ignored."""
    through = known_data_through(flat[-1]) if flat[-2:-1] == _LAST_NAME else b""
    if (flat[:-2:2] if through else flat[0::2]) == AS_WE_WRITE and (scores := _all_plain(flat[_SCORES])) is not None:
        return StoredState(symbol, decode_stamp(flat[1]), expires_at, None, scores, 0, through)
    held = dict(zip(flat[0::2], flat[1::2], strict=True))
    scores = tuple(_score(held.get(field)) for field in _FIELD_BYTES)
    bad_fields = sum(field in held for field in _FIELD_BYTES) - sum(score is not None for score in scores)
    return StoredState(
        symbol,
        decode_stamp(held.get(b"computed_at")),
        expires_at,
        decode_stamp(held.get(b"backfilled_at")),
        scores,
        bad_fields,
        known_data_through(held.get(DATA_THROUGH)),
    )


def _all_plain(texts: Sequence[bytes]) -> Scores | None:
    joined = b",".join(texts)
    if joined.translate(None, _PLAIN):
        return None
    try:
        scores = tuple(orjson.loads(b"[" + joined + b"]"))  # half the time of float() for each
    except orjson.JSONDecodeError:
        return None
    return scores if len(scores) == len(texts) and max(scores) <= 1 else None


def _score(text: bytes | None) -> float | None:
    score = None if text is None else decimal_of(text)
    return score if score is not None and 0.0 <= score <= 1.0 else None


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
    """Full, well-formed states as arrays, ``scores`` (n, len(FIELDS)), ``through`` as ``known_data_through`` gives it.
    ``irregular`` holds the symbols of the others, which ``decode_state`` must read one by one."""

    symbols: list[bytes]
    stamps: NDArray[np.float64]
    scores: NDArray[np.float64]
    through: list[bytes]
    irregular: list[bytes]


def decode_in_bulk(raw: RawStates) -> Decoded:
    """Takes the hashes that our own writers, or others like them, wrote in full; every other one is left as odd."""
    irregular: list[bytes] = []
    texts = _values(raw.hashes)
    if texts is None:
        names = _usual_names(raw.hashes)
        are_usual = [one[0::2] == names for one in raw.hashes]
        irregular = raw.only([not is_usual for is_usual in are_usual]).symbols
        raw = raw.only(are_usual)
        texts = _values(raw.hashes) or _Values([], [])
    table = _numbers(texts.numbers)
    if table is None:
        return Decoded([], np.empty(0), np.empty((0, len(FIELDS))), [], raw.symbols + irregular)
    through = texts.through or [b""] * len(raw)
    is_good = table[:, 1:].max(axis=1, initial=0.0) <= 1.0
    if not is_good.all():
        irregular += raw.only((~is_good).tolist()).symbols
        through = [one for one, is_one_good in zip(through, is_good.tolist(), strict=True) if is_one_good]
        raw, table = raw.only(is_good.tolist()), table[is_good]
    return Decoded(raw.symbols, table[:, 0], table[:, 1:], through, irregular)


@dataclass(frozen=True, slots=True)
class _Values:
    """The values of all hashes one after the other; ``through`` is empty where no hash has one."""

    numbers: list[bytes]
    through: list[bytes]


def _usual_names(hashes: Sequence[Sequence[bytes]]) -> list[bytes]:
    """The fields that we write, with or without ``data_through``, whichever more of the hashes have."""
    with_through = sum(len(one) == 2 * len(WITH_THROUGH) for one in hashes)
    return WITH_THROUGH if 2 * with_through > len(hashes) else AS_WE_WRITE


def _values(hashes: Sequence[Sequence[bytes]]) -> _Values | None:
    """The values of all hashes, None unless all have just the fields that we write, in order."""
    flat = list(chain.from_iterable(hashes))
    names, values = flat[0::2], flat[1::2]
    if names == AS_WE_WRITE * len(hashes):
        return _Values(values, [])
    if names != WITH_THROUGH * len(hashes):
        return None
    written = values[len(AS_WE_WRITE) :: len(WITH_THROUGH)]
    del values[len(AS_WE_WRITE) :: len(WITH_THROUGH)]
    known = {text: known_data_through(text) for text in set(written)}
    return _Values(values, [known[text] for text in written])


def _numbers(texts: Sequence[bytes]) -> NDArray[np.float64] | None:
    joined = b",".join(texts)
    if joined.translate(None, _PLAIN):
        return None
    try:
        numbers = np.array(orjson.loads(b"[" + joined + b"]"), dtype=np.float64)
    except orjson.JSONDecodeError:
        return None
    return numbers.reshape(-1, len(AS_WE_WRITE)) if len(numbers) == len(texts) else None


_SCORE_TYPES = {float, int, type(None)}


class BadLineError(ValueError):
    """An invalid line; the message says what is wrong."""


def state_of_line(line: bytes, now: float) -> RegimeState:
    """The state in ``line``; ``now`` is in Unix seconds. Raises BadLineError."""
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadLineError(f"not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise BadLineError("not a JSON object")
    return RegimeState(
        _symbol(fields.get("symbol")),
        _stamp(fields.get("computed_at"), now),
        _scores(fields.get("scores")),
        _through(fields.get("data_through"), now),
    )


def _symbol(value: Any) -> str:
    if not isinstance(value, str):
        raise BadLineError("symbol is missing or no string")
    try:
        return valid_symbol(value)
    except SymbolError as error:
        raise BadLineError(str(error)) from error


def _stamp(value: Any, now: float) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
        raise BadLineError("computed_at is missing or no number of Unix seconds")
    if value > now + FUTURE_TOLERANCE_SECONDS:
        raise BadLineError(f"computed_at is {value - now:.0f} s in the future; it is in Unix seconds")
    return float(value)


def _through(value: Any, now: float) -> bytes:
    if value is None:
        return b""
    is_text = type(value) in (str, int, float)
    known = known_data_through(str(value).encode(errors="replace")) if is_text else b""
    if not known:
        raise BadLineError("data_through is no ISO date like 2026-01-31 and no number of Unix seconds")
    if data_age(known, now) is None:
        raise BadLineError(f"data_through is {value}, which is still to come")
    return known


def _scores(value: Any) -> Scores:
    if not isinstance(value, dict) or not all(isinstance(row, dict) for row in value.values()):
        raise BadLineError("scores is missing or no object of objects")
    empty: dict[str, Any] = {}
    scores = [score for timeframe in TIMEFRAMES for score in map(value.get(timeframe, empty).get, REGIMES)]
    known = [score for score in scores if score is not None]
    if sum(map(len, value.values())) != len(known):
        _refuse_unknown_names(value)
    if not known:
        raise BadLineError("scores has no score")
    if not set(map(type, scores)) <= _SCORE_TYPES or min(known) < 0 or max(known) > 1:
        raise BadLineError("a score is not a number in 0..1")
    return tuple(scores)


def _refuse_unknown_names(scores: dict[str, dict[str, Any]]) -> None:
    for timeframe, row in scores.items():
        if timeframe not in TIMEFRAMES:
            raise BadLineError(f"unknown timeframe {timeframe!r}; known are {' '.join(TIMEFRAMES)}")
        for regime in row:
            if regime not in REGIMES:
                raise BadLineError(f"unknown regime {regime!r}; known are {' '.join(REGIMES)}")


class StateLines:
    """Iterates over the states in ``lines``. ``bad`` counts invalid lines; ``on_bad`` gets their number and reason.

    ``clock`` gives Unix seconds. Empty lines are skipped.
    """

    def __init__(self, lines: Iterable[bytes], clock: Callable[[], float], on_bad: Callable[[int, str], None]) -> None:
        self._lines = lines
        self._clock = clock
        self._on_bad = on_bad
        self.bad = 0

    def __iter__(self) -> Iterator[RegimeState]:
        for number, line in numbered_lines(self._lines):
            try:
                yield state_of_line(line, self._clock())
            except BadLineError as error:
                self.bad += 1
                self._on_bad(number, str(error))
