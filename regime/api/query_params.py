"""The query strings of the regime routes, checked by hand: a serializer costs more than the whole answer."""

import re
from collections.abc import Callable
from datetime import date
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from django.http import QueryDict
from rest_framework.exceptions import ValidationError

from avo_project.lib.decimals import decimal_of
from regime.domain.cursor import Cursor, CursorError, decode_cursor, question_of
from regime.domain.macro import Period
from regime.domain.state import REGIMES, TIMEFRAMES, SymbolError, valid_symbol
from regime.domain.universe import Order, Query

MOST_SYMBOLS = 500
MOST_ROWS = 1_000
_SYMBOLS = re.compile(r"[!-+\--~]{1,64}(?:,[!-+\--~]{1,64})*")
_ORDERS: tuple[Order, ...] = ("score", "-score", "symbol")

T = TypeVar("T")


class MaxAges(NamedTuple):
    """Maximum age of a state and of its data, in seconds; None for no limit."""

    state: float | None
    data: float | None


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
            timeframe=reading.field("timeframe", _one_of(TIMEFRAMES), "1mo"),
            regime=reading.field("regime", _one_of(REGIMES), None),
            min_score=reading.field("min_score", _score, None),
            symbols=reading.field("symbols", _symbols, None, joined=True),
            order=reading.field("order", _one_of(_ORDERS), "symbol"),
            limit=reading.field("limit", _limit, 50),
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
    if cursor.question != question_of(query):
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
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_ROWS):
        raise ValueError(f"This must be a whole number from 1 to {MOST_ROWS}.")
    return int(text)


def _symbols(text: str) -> bytes:
    count = text.count(",") + 1
    if count > MOST_SYMBOLS:
        raise ValueError(f"{count} symbols given; the maximum is {MOST_SYMBOLS}.")
    if _SYMBOLS.fullmatch(text):
        return text.upper().encode()
    return b",".join(valid_symbol(name).encode() for name in text.split(","))  # raises for the one that is none


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("This must be a date like 2016-06-29.") from None
