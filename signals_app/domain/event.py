"""The event: one trading signal parsed strictly from stream fields, singly or in batches."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import chain, repeat
from types import MappingProxyType
from typing import Any, Literal, NamedTuple
from uuid import UUID

Direction = Literal["long", "short", "flat"]

DIRECTIONS = frozenset({"long", "short", "flat"})
MAX_BYTES = 65_536
MAX_FIELDS = 256

_KNOWN = ("signal_id", "symbol", "direction", "confidence")
OWN_FIELDS = frozenset({*_KNOWN, "published_at"})
_new = tuple.__new__  # half the time of the constructor of a named tuple, which takes keywords
NO_EXTRA: Mapping[str, str] = MappingProxyType({})
# Fast path: matches the known values of nearly every event at once. Everything else is normalised field by field.
KNOWN_VALUES = (
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\0[!-~]{1,64}\0(?:long|short|flat)\0"
    r"(?:0(?:\.[0-9]{1,24})?|1(?:\.0{1,24})?)"
)
TIME_VALUE = r"\0[0-9]{1,15}"
_USUAL = re.compile(KNOWN_VALUES + r"(?:\0|\Z)")
_USUAL_WITH_TIME = re.compile(KNOWN_VALUES + TIME_VALUE + r"(?:\0|\Z)")
_SYMBOL = re.compile(r"[!-~]{1,64}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MAX_MILLISECONDS_DIGITS = 15
_MAX_DIGITS = 400  # the exact decimal form of a small double
_SHOWN_CHARACTERS = 60


class BadEventError(ValueError):
    """Fields that are not a valid event. ``str`` is the reason, ``<code>: <detail>``, safe to store and to display."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


class Event(NamedTuple):
    """A trading signal. ``signal_id`` is a UUID in lower case with hyphens, ``confidence`` is in 0..1,
    ``published_at_ms`` in Unix milliseconds; ``extra`` holds unknown fields. A named tuple because a consumer makes a
    hundred thousand a second."""

    signal_id: str
    symbol: str
    direction: Direction
    confidence: float
    published_at_ms: int | None = None
    extra: Mapping[str, str] = NO_EXTRA

    def as_fields(self) -> list[str]:
        """Field, value, field, value … as XADD takes them."""
        fields = [
            "signal_id", self.signal_id, "symbol", self.symbol,
            "direction", self.direction, "confidence", repr(self.confidence),
        ]  # fmt: skip
        if self.published_at_ms is not None:
            fields += ("published_at", str(self.published_at_ms))
        for name, value in self.extra.items():
            fields += (name, value)
        return fields


class Layout(NamedTuple):
    """The field names of an entry, which most entries share. ``pattern`` matches values in the usual order: the known
    ones, then ``published_at`` if present; ``extra`` are the other names."""

    names: tuple[str, ...]
    pattern: re.Pattern[str] | None
    has_time: bool
    extra: tuple[str, ...]


def parse_entry(fields: Mapping[bytes, bytes]) -> Event:
    """Parse a stream entry. Raises BadEventError with the reason."""
    layout = layout_of(tuple(fields))
    joined = b"\0".join(fields.values())
    try:
        text = joined.decode()
    except UnicodeDecodeError as error:
        raise BadEventError("not-utf8", f"{joined[error.start : error.end]!r} is not UTF-8 text") from None
    return _parse(layout, text, fields)


def parse_fields(fields: Mapping[str, str]) -> Event:
    """Parse decoded fields. Raises BadEventError with the reason."""
    return _parse(layout_of(tuple(fields)), "\0".join(fields.values()), fields)


def _parse(layout: Layout, text: str, fields: Mapping[Any, str | bytes]) -> Event:
    if len(text) > MAX_BYTES:
        raise BadEventError("too-large", f"{len(text)} characters in all, {MAX_BYTES} at most")
    values = text.split("\0")
    names, pattern, has_time, extra_names = layout
    if len(values) != len(names) or pattern is None or pattern.match(text) is None:
        values = [value if isinstance(value, str) else value.decode() for value in fields.values()]
        (names, _, has_time, extra_names), values = _normalised(dict(zip(names, values, strict=True)))
    extra = dict(zip(extra_names, values[-len(extra_names) :], strict=True)) if extra_names else NO_EXTRA
    published_at_ms = int(values[4]) if has_time else None
    return _new(Event, (*values[:3], float(values[3]), published_at_ms, extra))


@lru_cache(maxsize=128)
def layout_of(names: tuple[str, ...] | tuple[bytes, ...]) -> Layout:
    if len(names) > MAX_FIELDS:
        raise BadEventError("too-many-fields", f"{len(names)} fields, {MAX_FIELDS} at most")
    if sum(map(len, names)) > MAX_BYTES:
        raise BadEventError("too-large", f"the names of the fields alone are more than {MAX_BYTES} bytes")
    try:
        texts = tuple(name if isinstance(name, str) else name.decode() for name in names)
    except UnicodeDecodeError:
        raise BadEventError("not-utf8", "the name of a field is not UTF-8 text") from None
    has_time = texts[4:5] == ("published_at",)
    extra = texts[5:] if has_time else texts[4:]
    is_usual = texts[:4] == _KNOWN and not OWN_FIELDS.intersection(extra)
    return Layout(texts, (_USUAL_WITH_TIME if has_time else _USUAL) if is_usual else None, has_time, extra)


def _normalised(fields: dict[str, str]) -> tuple[Layout, list[str]]:
    """The fields in the usual order and format. Raises BadEventError for an invalid value."""
    try:
        signal_id, symbol, direction, confidence = [fields.pop(name) for name in _KNOWN]
    except KeyError as missing:
        raise BadEventError("missing-field", f"there is no {missing.args[0]}") from None
    known = [_signal_id(signal_id), _symbol(symbol), _direction(direction), _confidence(confidence)]
    time = [("published_at", _published_at(fields.pop("published_at")))] if "published_at" in fields else []
    rest = dict([*time, *fields.items()])
    return layout_of((*_KNOWN, *rest)), [*known, *rest.values()]


def _signal_id(text: str) -> str:
    if _UUID.fullmatch(text) is None:
        raise BadEventError("bad-signal-id", f"{_shown(text)} is not a UUID")
    return str(UUID(text))


def _symbol(text: str) -> str:
    if _SYMBOL.fullmatch(text) is None:
        raise BadEventError("bad-symbol", f"{_shown(text)} is not 1 to 64 printable ASCII characters without a space")
    return text


def _direction(text: str) -> str:
    if text not in DIRECTIONS:
        raise BadEventError("bad-direction", f"{_shown(text)} is not long, short or flat")
    return text


def _confidence(text: str) -> str:
    value = float(text) if len(text) <= _MAX_DIGITS and _DECIMAL.fullmatch(text) else math.nan
    if not 0 <= value <= 1:
        raise BadEventError("bad-confidence", f"{_shown(text)} is not a number in 0..1")
    return text


def _published_at(text: str) -> str:
    if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_MILLISECONDS_DIGITS):
        raise BadEventError("bad-published-at", f"{_shown(text)} is not a time in Unix milliseconds")
    return text


def _shown(value: str) -> str:
    return repr(value if len(value) <= _SHOWN_CHARACTERS else value[:_SHOWN_CHARACTERS])


_new_event = partial(tuple.__new__, Event)
FlatFields = Sequence[bytes]
"""The fields of an entry as sent by the server: field, value, field, value …"""


def parse_batch(rows: Sequence[FlatFields]) -> list[Event | BadEventError]:
    """The event of each row, or the error of a row that is not a valid event."""
    return _parse_uniform(rows) or [_parse_single(row) for row in rows]


def _parse_single(row: FlatFields) -> Event | BadEventError:
    try:
        return parse_entry(dict(zip(row[::2], row[1::2], strict=True)))
    except BadEventError as bad:
        return bad


def _parse_uniform(rows: Sequence[FlatFields]) -> list[Any]:
    """The events of rows with identical field names in the usual order and format; otherwise an empty list."""
    if len(set(map(len, rows))) != 1:
        return []
    flat = list(chain.from_iterable(rows))
    names = tuple(rows[0][::2])
    if tuple(flat[::2]) != names * len(rows):
        return []
    try:
        layout = layout_of(names)
        text = b"\0".join(flat[1::2]).decode()
    except (BadEventError, UnicodeDecodeError):
        return []
    pattern = _pattern(layout)
    if pattern is None or pattern.fullmatch(text) is None:
        return []
    values = text.split("\0")
    if len(values) != len(names) * len(rows) or (layout.extra and len(text) > MAX_BYTES):
        return []
    return list(map(_new_event, _columns(layout, values)))


def _columns(layout: Layout, values: list[str]) -> Iterable[tuple[object, ...]]:
    width = len(layout.names)
    columns = [values[place::width] for place in range(width)]
    times: Iterable[int | None] = map(int, columns[4]) if layout.has_time else repeat(None)
    extra_columns = columns[width - len(layout.extra) :] if layout.extra else []
    extras: Iterable[Any] = (
        [dict(zip(layout.extra, row, strict=True)) for row in zip(*extra_columns, strict=True)]
        if extra_columns else repeat(NO_EXTRA)
    )  # fmt: skip
    return zip(columns[0], columns[1], columns[2], map(float, columns[3]), times, extras, strict=False)


@lru_cache(maxsize=128)
def _pattern(layout: Layout) -> re.Pattern[str] | None:
    """A pattern for any number of rows. Possessive, because a row matches in one way only."""
    if layout.pattern is None:
        return None
    row = KNOWN_VALUES + (TIME_VALUE if layout.has_time else "") + r"\0[^\0]*" * len(layout.extra)
    return re.compile(f"{row}(?:\\0{row})*+")
