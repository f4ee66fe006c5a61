"""The HTTP routes of regime states, the collection and macro series, and their query strings, which are checked by
hand: a serializer costs more than the whole answer."""

import math
import re
import time
from collections.abc import Callable
from datetime import date
from functools import cache
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from django.http import HttpResponse, QueryDict
from prometheus_client import Counter
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.views import APIView

from avo_project.http.problems import Problem
from avo_project.lib.decimals import decimal_of
from regime.api import schema
from regime.conf import RegimeConf
from regime.domain.freshness import Classification, Freshness, data_age, data_through_value
from regime.domain.macro import Period, is_series_id
from regime.domain.state import DEFAULT_TIMEFRAME, REGIMES, TIMEFRAMES, StoredState, SymbolError, valid_symbol
from regime.domain.universe import (
    DEFAULT_ROWS,
    MAX_ROWS,
    MAX_SYMBOLS,
    ORDERS,
    Cursor,
    CursorError,
    Query,
    decode_cursor,
    query_digest,
)
from regime.services.answers import CollectionAnswers, MacroAnswers, answer, state_answer
from regime.services.collection import Collection, CollectionMissingError, Version
from regime.services.macro import Macro
from regime.store.state_cache import StateCache

BAD_FIELDS = Counter("avo_regime_bad_fields", "Scores left out of an answer because they were no number in 0..1")
NOT_CURRENT = Counter("avo_regime_not_current", "Reads of a state that was not current", ["freshness"])
for _freshness in Freshness:
    if _freshness is not Freshness.CURRENT:
        NOT_CURRENT.labels(_freshness.value)  # shown before the first one, which a rate would miss otherwise

# Other programs may change a state at any time, so a cached copy must always be revalidated.
_CONFIRM = "private, no-cache"
_MACRO_MAX_AGE_SECONDS = 60

_WHY = {
    Freshness.EXPIRED: "24 hours old or older",
    Freshness.UNKNOWN_AGE: "of unknown age",
    Freshness.FUTURE_STAMP: "stamped in the future",
}

_SYMBOLS = re.compile(r"[!-+\--~]{1,64}(?:,[!-+\--~]{1,64})*")

T = TypeVar("T")


class MaxAges(NamedTuple):
    """Maximum age of a state and of its data, in seconds; None for no limit."""

    state: float | None
    data: float | None


# One of each for the whole process: they hold the registered scripts and the loaded collection.
connected_states = cache(StateCache.connect)
connected_collection = cache(Collection.connect)
collection_answers = cache(CollectionAnswers)
connected_macro = cache(Macro.connect)
macro_answers = cache(MacroAnswers)


@cache
def conf() -> RegimeConf:
    return RegimeConf.load()


class RegimeStateView(APIView):
    @schema.STATE
    def get(self, request: Request, symbol: str) -> HttpResponse:
        """The current regime state of one symbol."""
        symbol = checked_symbol(symbol)
        max_ages = max_ages_of(request.query_params)
        state = connected_states().get(symbol)
        if state is None:
            raise _missing(symbol)
        now = time.time()
        classification = state.classify(now)
        _refuse_stale(state, classification, max_ages.state)
        if max_ages.data is not None:
            _refuse_old_data(state, classification, max_ages.data, now)
        if state.bad_fields:
            BAD_FIELDS.inc(state.bad_fields)
        return answer(request, state_answer(state, classification), _CONFIRM, _confirm_seconds(max_ages))


class RegimeCollectionView(APIView):
    @schema.COLLECTION
    def get(self, request: Request) -> HttpResponse:
        """A summary of all current states and one page of them. Costs one unit plus one for every 100 kB of the
        response, about 900 rows."""
        query, cursor = query_of(request.query_params)
        now = time.time()
        version = _version(cursor, now)
        given = collection_answers().answer(version, query, cursor.position if cursor else None, now)
        return answer(request, given, _CONFIRM, conf().confirm_seconds if query.max_data_age is None else 0)


class MacroView(APIView):
    @schema.MACRO
    def get(self, request: Request) -> HttpResponse:
        """The newest value of every macro series with the previous one."""
        no_params(request.query_params)
        body = connected_macro().newest_of_all(time.time())
        return answer(request, macro_answers().answer(None, body), _macro_cache_control())


class MacroSeriesView(APIView):
    @schema.MACRO_SERIES
    def get(self, request: Request, series_id: str) -> HttpResponse:
        """The observations of one macro series, current or as known on an earlier day. Costs one unit plus one for
        every 100 kB of the response."""
        period = period_of(request.query_params)
        # Invalid names are not looked up: PostgreSQL rejects NUL.
        body = connected_macro().series(series_id, period, time.time()) if is_series_id(series_id) else None
        if body is None:
            raise Problem(404, "unknown-series", f"Unknown macro series {series_id}. GET /api/macro lists all series.")
        return answer(request, macro_answers().answer((series_id, period), body), _macro_cache_control())


def _macro_cache_control() -> str:
    return f"private, max-age={_MACRO_MAX_AGE_SECONDS}, stale-if-error={conf().macro_stale_seconds}"


def _missing(symbol: str) -> Problem:
    if connected_collection().holds_symbol(symbol):
        return _stale(symbol, Freshness.EXPIRED, "its state has expired")
    return Problem(404, "unknown-symbol", f"No state is kept for {symbol}.")


def _stale(symbol: str, freshness: Freshness, why: str, **members: object) -> Problem:
    NOT_CURRENT.labels(freshness.value).inc()
    detail = f"No current state for {symbol}: {why}."
    return Problem(404, "stale-regime", detail, members={"freshness": freshness.value, **members})


def _refuse_stale(state: StoredState, classification: Classification, max_age_seconds: float | None) -> None:
    age_seconds = classification.age_seconds
    if not classification.is_current:
        raise _stale(state.symbol, classification.freshness, f"the stored state is {_WHY[classification.freshness]}")
    if max_age_seconds is not None and age_seconds is not None and age_seconds > max_age_seconds:
        age = math.ceil(age_seconds)  # never below what was asked for
        why = f"it is {age} s old and max_age is {max_age_seconds:g} s"
        raise _stale(state.symbol, classification.freshness, why, age_seconds=age)


def _refuse_old_data(
    state: StoredState, classification: Classification, max_data_age_seconds: float, now: float
) -> None:
    age_seconds = data_age(state.data_through, now)
    if age_seconds is not None and age_seconds <= max_data_age_seconds:
        return
    why = "it has no valid data_through"
    if age_seconds is not None:
        why = f"its data is {math.ceil(age_seconds)} s old"
    why += f" and max_data_age is {max_data_age_seconds:g} s"
    raise _stale(state.symbol, classification.freshness, why, data_through=data_through_value(state.data_through))


def _confirm_seconds(max_ages: MaxAges) -> int:
    return conf().confirm_seconds if max_ages == (None, None) else 0


def _version(cursor: Cursor | None, now: float) -> Version:
    pinned = connected_collection().version(cursor.version) if cursor else None
    try:
        return pinned or connected_collection().newest(now)
    except CollectionMissingError:
        raise Problem(
            503,
            "collection-not-ready",
            "The collection is being built. Retry after 2 seconds.",
            headers={"Retry-After": "2"},
        ) from None


def checked_symbol(text: str) -> str:
    """A symbol of a route in upper case. Raises ValidationError."""
    try:
        return valid_symbol(text)
    except SymbolError as error:
        raise ValidationError({"symbol": [str(error)]}) from error


def max_ages_of(params: QueryDict) -> MaxAges:
    """``max_age`` and ``max_data_age``. Raises ValidationError with every bad field."""
    with _Reading(params) as reading:
        return MaxAges(*(reading.field(name, _seconds, None) for name in ("max_age", "max_data_age")))


def query_of(params: QueryDict) -> tuple[Query, Cursor | None]:
    """The query of a listing and its cursor. Raises ValidationError with every bad field."""
    with _Reading(params) as reading:
        query = Query(
            timeframe=reading.field("timeframe", _one_of(TIMEFRAMES), DEFAULT_TIMEFRAME),
            regime=reading.field("regime", _one_of(REGIMES), None),
            min_score=reading.field("min_score", _score, None),
            symbols=reading.field("symbols", _symbols, None, joined=True),
            order=reading.field("order", _one_of(ORDERS), "symbol"),
            limit=reading.field("limit", _limit, DEFAULT_ROWS),
            max_data_age=reading.field("max_data_age", _seconds, None),
        )
        return query, reading.field("cursor", lambda text: _cursor_of(text, query), None)


def period_of(params: QueryDict) -> Period:
    """``vintage``, ``start`` and ``end``. Raises ValidationError with every bad field."""
    with _Reading(params) as reading:
        return Period(*(reading.field(name, _date, None) for name in ("vintage", "start", "end")))


def no_params(params: QueryDict) -> None:
    """For a route that takes none. Raises ValidationError."""
    with _Reading(params):
        pass


def _cursor_of(text: str, query: Query) -> Cursor:
    cursor = decode_cursor(text)
    if cursor.query_digest != query_digest(query):
        raise CursorError("This cursor belongs to another query. Keep filters and order, or start without it.")
    return cursor


class _Reading:
    """Reads fields one by one and, at the end, refuses all bad and unknown ones at once."""

    def __init__(self, params: QueryDict) -> None:
        self._params = params
        self._errors: dict[str, list[str]] = {}
        self._known: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            return
        for name in [name for name in self._params if name not in self._known]:
            takes = f"It takes {', '.join(self._known)}." if self._known else "It takes none."
            self._errors[name] = [f"This route has no such parameter. {takes}"]
        if self._errors:
            raise ValidationError(self._errors)

    def field(self, name: str, read: Callable[[str], Any], default: Any, *, joined: bool = False) -> Any:
        """The field as ``read`` makes it of its text; ``default`` when it is missing, empty or bad. Given several
        times it is bad, or, ``joined``, one list."""
        self._known.append(name)
        texts = [text for text in self._params.getlist(name) if text]
        if not texts:
            return default
        if len(texts) > 1 and not joined:
            self._errors[name] = [f"Given {len(texts)} times; give it once."]
            return default
        try:
            return read(",".join(texts))
        except ValueError as error:  # SymbolError and CursorError too
            self._errors[name] = [str(error)]
            return default


def _one_of(names: tuple[T, ...]) -> Callable[[str], T]:
    def read(text: str) -> T:
        for name in names:
            if name == text:
                return name
        raise ValueError(f"This must be one of {', '.join(map(str, names))}.")

    return read


def _number(text: str) -> float:
    number = decimal_of(text.encode(errors="replace"))
    if number is None:
        raise ValueError("This must be a number.")
    return number


def _seconds(text: str) -> float:
    seconds = _number(text)
    if seconds < 0:
        raise ValueError("This must be 0 seconds or more.")
    return seconds


def _score(text: str) -> float:
    score = _number(text)
    if not 0 <= score <= 1:
        raise ValueError("This must be between 0 and 1.")
    return score


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_ROWS):
        raise ValueError(f"This must be a whole number from 1 to {MAX_ROWS}.")
    return int(text)


def _symbols(text: str) -> bytes:
    count = text.count(",") + 1
    if count > MAX_SYMBOLS:
        raise ValueError(f"{count} symbols given; the maximum is {MAX_SYMBOLS}.")
    if _SYMBOLS.fullmatch(text):
        return text.upper().encode()
    return b",".join(valid_symbol(name).encode() for name in text.split(","))  # raises for the one that is none


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("This must be a date like 2016-06-29.") from None
