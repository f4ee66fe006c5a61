"""A query over all symbols and its page of rows: filters, order and cursor, by vectorised numpy."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Literal, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray

from avo_project.lib.bounded_dict import BoundedDict
from regime.domain.columns import NO_REGIME, NO_SCORE, SCORE_SCALE, Columns, are_current, positions
from regime.domain.freshness import FUTURE_TOLERANCE_SECONDS, LIFE_SECONDS, are_young, data_ends
from regime.domain.row_text import RowText
from regime.domain.state import DEFAULT_TIMEFRAME, REGIMES, TIMEFRAMES, SymbolError, valid_symbol

Order = Literal["score", "-score", "symbol"]
ORDERS: tuple[Order, ...] = ("score", "-score", "symbol")
MAX_ROWS = 1_000
"""of a page"""
DEFAULT_ROWS = 50
"""of a page without ``limit``"""
MAX_SYMBOLS = 500
"""of a query"""

Positions = NDArray[np.intp]

_FALLING = np.int32  # a number of another kind, searched for, would have all of them converted


@dataclass(frozen=True, slots=True)
class Query:
    """One query over all symbols.

    ``regime`` None selects each symbol's dominant regime; ``symbols`` are separated by commas, None for all;
    ``max_data_age`` is in seconds, None for no limit, which includes states without ``data_through``.
    """

    timeframe: str = DEFAULT_TIMEFRAME
    regime: str | None = None
    min_score: float | None = None
    symbols: bytes | None = None
    order: Order = "symbol"
    limit: int = DEFAULT_ROWS
    max_data_age: float | None = None


@dataclass(frozen=True, slots=True)
class PagePosition:
    """Where a page ended: after this symbol, with this packed score."""

    score: int
    symbol: str


class CursorError(ValueError):
    """A text that no listing ever gave out."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The version of the collection that a listing reads, the position where its last page ended, and the digest of the
    query (``query_digest``)."""

    version: str
    position: PagePosition
    query_digest: str


def query_digest(query: Query) -> str:
    """A digest of the parameters that select and order the rows: all except the page size."""
    parameters = (query.timeframe, query.regime, query.min_score, query.symbols, query.order, query.max_data_age)
    return blake2b(repr(parameters).encode(), digest_size=6).hexdigest()


def encode_cursor(cursor: Cursor) -> str:
    text = orjson.dumps([cursor.version, cursor.position.score, cursor.position.symbol, cursor.query_digest])
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def decode_cursor(text: str) -> Cursor:
    """Raises CursorError."""
    try:
        version, score, symbol, digest = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if isinstance(version, str) and type(score) is int and len(version) <= 64 and isinstance(digest, str):
            return Cursor(version, PagePosition(score, valid_symbol(symbol)), digest)
    except (binascii.Error, ValueError, TypeError, AttributeError, SymbolError) as error:
        raise CursorError("Invalid cursor. Omit it to start from the first page.") from error
    raise CursorError("Invalid cursor. Omit it to start from the first page.")


@dataclass(frozen=True, slots=True)
class Page:
    """``count`` is how many match on all pages; ``rows`` is JSON, separated by commas; ``ended_at`` is None on the last
    page."""

    count: int
    rows: bytes
    ended_at: PagePosition | None


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Positions by falling score, equals by symbol; ``falling`` holds the negated packed scores. (n,) each."""

    positions: Positions
    falling: NDArray[np.int32]

    @classmethod
    def of(cls, positions: Positions, scores: NDArray[np.uint16]) -> "Ranking":
        """Ranks ``positions``, which rise, by their packed ``scores``."""
        falling = -scores.astype(_FALLING)
        order = np.argsort(falling, kind="stable")
        return cls(positions[order], falling[order])

    def at_least(self, least: int) -> "Ranking":
        """Those with at least the packed score ``least``."""
        end = np.searchsorted(self.falling, _FALLING(-least), side="right")
        return Ranking(self.positions[:end], self.falling[:end])

    def only(self, chosen: NDArray[np.bool_]) -> "Ranking":
        return Ranking(self.positions[chosen], self.falling[chosen])

    def up_to(self, score: int, bound: int) -> int:
        """How many rank before a state of packed ``score`` at the position ``bound``."""
        low, high = np.searchsorted(self.falling, np.array([-score, -score + 1], dtype=_FALLING))
        return int(low + np.searchsorted(self.positions[low:high], self.positions.dtype.type(bound)))


Summary = dict[str, dict[str, dict[str, int | float | None]]]
_Key = tuple[str, str | None]
K = TypeVar("K")
V = TypeVar("V")

_KEPT_RANKINGS = 16
_KEPT_LISTS = 64


@dataclass(frozen=True, slots=True, eq=False)
class _Choice:
    """The score selected by a query and its regime, for every state; (n,) each."""

    scores: NDArray[np.uint16]
    regimes: NDArray[np.uint8]


class Universe:
    """The states of ``columns``, all of them current."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._text = RowText(columns.symbols, columns.stamps, columns.through)
        self._choices: BoundedDict[_Key, _Choice] = BoundedDict(len(TIMEFRAMES) * (len(REGIMES) + 1))
        self._rankings: BoundedDict[_Key, Ranking] = BoundedDict(_KEPT_RANKINGS)
        self._found: BoundedDict[tuple[str, str | None, int], Positions] = BoundedDict(_KEPT_RANKINGS)
        # By list of symbols: callers repeat the same few lists.
        self._indexes: BoundedDict[bytes, Positions] = BoundedDict(_KEPT_LISTS)

    def __len__(self) -> int:
        return len(self._columns)

    @cached_property
    def summary(self) -> Summary:
        """For each timeframe how many symbols each regime dominates, and its mean score."""
        return {timeframe: self._timeframe_summary(index) for index, timeframe in enumerate(TIMEFRAMES)}

    @cached_property
    def summary_json(self) -> bytes:
        return orjson.dumps(self.summary)

    def page(self, query: Query, after: PagePosition | None = None, now: float = 0.0) -> Page:
        """The matches of ``query`` at ``now`` (Unix seconds) that come after ``after``, at most ``query.limit``."""
        choice = self._choice(query.timeframe, query.regime)
        least = 0 if query.min_score is None else int(np.ceil(query.min_score * SCORE_SCALE - 1e-6))
        if query.order == "symbol":
            found = self._in_symbol_order(query, choice, least)
            if query.max_data_age is not None:
                found = found[are_young(self._data_ends[found], now, query.max_data_age)]
            count, start = len(found), int(np.searchsorted(found, self._past(after.symbol))) if after else 0
        else:
            ranking = self._ranked(query, choice).at_least(least)
            if query.max_data_age is not None:
                ranking = ranking.only(are_young(self._data_ends[ranking.positions], now, query.max_data_age))
            count, start = len(ranking.positions), self._ranked_start(ranking, query, after) if after else 0
            found = ranking.positions if query.order == "-score" else ranking.positions[::-1]
        here = found[start : start + query.limit]
        scores = choice.scores[here]
        rows = self._text.rows(here, query.timeframe, choice.regimes[here], scores)
        is_last = start + len(here) >= count
        return Page(
            count, rows, None if is_last else PagePosition(int(scores[-1]), self._columns.symbols[here[-1]].decode())
        )

    @cached_property
    def _data_ends(self) -> NDArray[np.float64]:
        return data_ends(self._columns.through)

    def _ranked_start(self, ranking: Ranking, query: Query, after: PagePosition) -> int:
        if query.order == "-score":
            return ranking.up_to(after.score, self._past(after.symbol))
        return len(ranking.positions) - ranking.up_to(after.score, self._index_of(after.symbol))

    def _index_of(self, symbol: str) -> int:  # where it stands or would stand
        return int(np.searchsorted(self._columns.symbols, symbol.encode()))

    def _past(self, symbol: str) -> int:
        return int(np.searchsorted(self._columns.symbols, symbol.encode(), side="right"))

    def _in_symbol_order(self, query: Query, choice: _Choice, least: int) -> Positions:
        if query.symbols is not None:
            return self._named(query.symbols, choice, least)

        def make() -> Positions:
            return np.flatnonzero((choice.scores >= least) & (choice.scores != NO_SCORE))

        return _cached(self._found, (query.timeframe, query.regime, least), make)

    def _ranked(self, query: Query, choice: _Choice) -> Ranking:
        if query.symbols is not None:
            found = self._named(query.symbols, choice, 0)
            return Ranking.of(found, choice.scores[found])

        def make() -> Ranking:
            scored = np.flatnonzero(choice.scores != NO_SCORE)
            return Ranking.of(scored.astype(np.int32), choice.scores[scored])

        return _cached(self._rankings, (query.timeframe, query.regime), make)

    def _named(self, symbols: bytes, choice: _Choice, least: int) -> Positions:
        found = _cached(self._indexes, symbols, lambda: self._indexes_of(symbols))
        scored: Positions = found[(choice.scores[found] >= least) & (choice.scores[found] != NO_SCORE)]
        return scored

    def _indexes_of(self, symbols: bytes) -> Positions:
        found = np.sort(positions(self._columns.symbols, symbols.split(b",")))
        return found[np.diff(found, prepend=-1) > 0]  # each once, and those that are there

    def _choice(self, timeframe: str, regime: str | None) -> _Choice:
        def make() -> _Choice:
            start = TIMEFRAMES.index(timeframe) * len(REGIMES)
            if regime is None:
                return self._dominant_choice(start)
            chosen = REGIMES.index(regime)
            return _Choice(self._columns.scores[start + chosen], np.broadcast_to(np.uint8(chosen), len(self)))

        return _cached(self._choices, (timeframe, regime), make)

    def _dominant_choice(self, start: int) -> _Choice:
        regimes = self._columns.dominants[start // len(REGIMES)]
        has_none = regimes == NO_REGIME
        scores = self._columns.scores[np.where(has_none, 0, regimes).astype(np.intp) + start, np.arange(len(self))]
        return _Choice(np.where(has_none, np.uint16(NO_SCORE), scores), regimes)

    def _timeframe_summary(self, index: int) -> dict[str, dict[str, int | float | None]]:
        counts = np.bincount(self._columns.dominants[index], minlength=NO_REGIME + 1)
        block = self._columns.scores[index * len(REGIMES) : (index + 1) * len(REGIMES)]
        known = (block != NO_SCORE).sum(axis=1).tolist()
        totals = np.where(block == NO_SCORE, 0, block).sum(axis=1, dtype=np.int64).tolist()
        means = [round(total / SCORE_SCALE / n, 6) if n else None for total, n in zip(totals, known, strict=True)]
        return {
            "counts": dict(zip(REGIMES, counts.tolist(), strict=False)),
            "mean_scores": dict(zip(REGIMES, means, strict=True)),
        }


class DatedUniverse:
    """The universe of one version of the collection at any time: what is not current then is not in it."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._by_age = np.sort(columns.stamps)
        self._last: tuple[tuple[int, int], Universe] | None = None

    def holds(self, symbol: str) -> bool:
        """Whether it has a state of ``symbol``, current or not."""
        return bool(positions(self._columns.symbols, np.array([symbol.encode()]))[0] >= 0)

    def at(self, now: float) -> tuple[tuple[int, int], Universe]:
        """The universe at ``now`` (Unix seconds), and a name for it that changes when a state comes or goes."""
        bounds = (now - LIFE_SECONDS, now + FUTURE_TOLERANCE_SECONDS)
        low, high = np.searchsorted(self._by_age, bounds, side="right").tolist()
        last = self._last
        if last is None or last[0] != (low, high):
            last = self._last = (low, high), Universe(self._current(now))
        return last

    def _current(self, now: float) -> Columns:
        current = are_current(self._columns.stamps, now)
        return self._columns if current.all() else self._columns.take(current)


def _cached(kept: BoundedDict[K, V], key: K, make: Callable[[], V]) -> V:
    value = kept.get(key)
    if value is None:
        value = kept[key] = make()
    return value
