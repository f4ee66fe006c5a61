"""The query strings of the regime routes, checked by hand: a serializer costs more than the whole answer."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import TypeVar

from rest_framework.exceptions import ValidationError

from regime.cursor import Cursor, CursorError, decode_cursor
from regime.listing import Order, Query
from regime.state import REGIMES, TIMEFRAMES, SymbolError, valid_symbol

MOST_SYMBOLS = 500
MOST_ROWS = 1_000
_ORDERS: tuple[Order, ...] = ("score", "-score", "symbol")

T = TypeVar("T")
Params = Mapping[str, str]


def checked_symbol(text: str) -> str:
    """A symbol of a route in upper case. Raises ValidationError."""
    try:
        return valid_symbol(text)
    except SymbolError as error:
        raise ValidationError({"symbol": [str(error)]}) from error


def max_age_of(params: Params) -> float | None:
    """``max_age`` in seconds. Raises ValidationError."""
    return _read(params, "max_age", _seconds, None)


def query_of(params: Params) -> tuple[Query, Cursor | None]:
    """The question of a listing and where it goes on. Raises ValidationError."""
    query = Query(
        timeframe=_read(params, "timeframe", _one_of(TIMEFRAMES), "1mo"),
        regime=_read(params, "regime", _one_of(REGIMES), None),
        min_score=_read(params, "min_score", _score, None),
        symbols=_read(params, "symbols", _symbols, None),
        order=_read(params, "order", _one_of(_ORDERS), "symbol"),
        limit=_read(params, "limit", _limit, 50),
    )
    return query, _read(params, "cursor", decode_cursor, None)


def date_of(params: Params, name: str) -> date | None:
    """An ISO date. Raises ValidationError."""
    return _read(params, name, _date, None)


def _read(params: Params, name: str, read: Callable[[str], T], default: T) -> T:
    text = params.get(name)
    if text is None or text == "":
        return default
    try:
        return read(text)
    except (ValueError, CursorError, SymbolError) as error:
        raise ValidationError({name: [str(error)]}) from error


def _one_of(names: tuple[T, ...]) -> Callable[[str], T]:
    def read(text: str) -> T:
        for name in names:
            if name == text:
                return name
        raise ValueError(f"This must be one of {', '.join(map(str, names))}.")

    return read


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("This must be a number.") from None
    if number != number:
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


def _symbols(text: str) -> tuple[str, ...]:
    names = text.split(",")
    if len(names) > MOST_SYMBOLS:
        raise ValueError(f"These are {len(names)} symbols; at most {MOST_SYMBOLS} are answered at once.")
    return tuple(valid_symbol(name) for name in names)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("This must be a date like 2016-06-29.") from None
