"""The event: one trading signal as it stands in the stream, parsed strictly and kept whole."""

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, NamedTuple
from uuid import UUID

Direction = Literal["long", "short", "flat"]

DIRECTIONS = frozenset({"long", "short", "flat"})
MAX_BYTES = 65_536
MAX_FIELDS = 256
"""Limits of what is published through us; others may add as much as their Redis takes."""

Text = str | bytes
"""Text; bytes where it is no UTF-8."""

_KNOWN = ("signal_id", "symbol", "direction", "confidence")
OWN_FIELDS = frozenset({*_KNOWN, "published_at"})
_new = tuple.__new__  # half the time of the named tuple's own, which takes keywords
NO_EXTRA: Mapping[Text, Text] = MappingProxyType({})
# The known values of nearly every event, in their usual form, in one match; what does not match is examined.
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
_MOST_MILLISECONDS_DIGITS = 15
_MOST_DIGITS = 400  # the exact decimal form of a small double
_SHOWN_CHARACTERS = 60
_MOST_KEPT = 4_096


class BadEventError(ValueError):
    """Fields that are no event. ``str`` is the reason, ``<code>: <what is wrong>``, safe to store and to show."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


class Event(NamedTuple):
    """``signal_id`` is a UUID in lower case with hyphens, ``confidence`` is in 0..1, ``published_at_ms`` in Unix
    milliseconds; ``extra`` holds the unknown fields, names and values as bytes where they are no UTF-8. A tuple,
    because a consumer makes a hundred thousand a second.
    """

    signal_id: str
    symbol: str
    direction: Direction
    confidence: float
    published_at_ms: int | None = None
    extra: Mapping[Text, Text] = NO_EXTRA

    def as_fields(self) -> list[Text]:
        """Field, value, field, value … as XADD takes them."""
        fields: list[Text] = [
            "signal_id", self.signal_id, "symbol", self.symbol,
            "direction", self.direction, "confidence", repr(self.confidence),
        ]  # fmt: skip
        if self.published_at_ms is not None:
            fields += ("published_at", str(self.published_at_ms))
        for name, value in self.extra.items():
            fields += (name, value)
        return fields


class Layout(NamedTuple):
    """The names of an entry's fields: most entries have the same. The ``pattern`` is for values that come in the
    usual order: the known ones, then ``published_at`` if there is one; ``extra`` names the rest."""

    names: tuple[Text, ...]
    pattern: re.Pattern[str] | None
    has_time: bool
    extra: tuple[Text, ...]


def parse_entry(fields: Mapping[bytes, bytes]) -> Event:
    """The event in a stream entry. Raises BadEventError with the precise reason."""
    try:
        text = b"\0".join(fields.values()).decode()
    except UnicodeDecodeError:
        text = ""  # which matches no pattern, so each value is examined by itself
    return _parse(layout_of(tuple(fields)), text, fields)


def parse_fields(fields: Mapping[str, str]) -> Event:
    """The event to publish. Raises BadEventError with the precise reason, also for one beyond our limits."""
    text = "\0".join(fields.values())
    if len(fields) > MAX_FIELDS:
        raise BadEventError("too-many-fields", f"{len(fields)} fields, {MAX_FIELDS} at most")
    if (size := len(text) + sum(map(len, fields))) > MAX_BYTES:
        raise BadEventError("too-large", f"{size} characters in all, {MAX_BYTES} at most")
    return _parse(layout_of(tuple(fields)), text, fields)


def _parse(layout: Layout, text: str, fields: Mapping[Any, Text]) -> Event:
    values: list[Any] = text.split("\0")
    names, pattern, has_time, extra_names = layout
    if len(values) != len(names) or pattern is None or pattern.match(text) is None:
        given = dict(zip(names, map(_text, fields.values()), strict=True))
        (names, _, has_time, extra_names), values = _examine(given)
    extra = dict(zip(extra_names, values[-len(extra_names) :], strict=True)) if extra_names else NO_EXTRA
    published_at_ms = int(values[4]) if has_time else None
    return _new(Event, (*values[:3], float(values[3]), published_at_ms, extra))


def layout_of(names: tuple[Text, ...]) -> Layout:
    """Kept for the next entry, unless the names are too many or too long to be usual."""
    return _kept_layout(names) if len(names) + sum(map(len, names)) <= _MOST_KEPT else _layout(names)


def _layout(names: tuple[Text, ...]) -> Layout:
    texts = tuple(map(_text, names))
    has_time = texts[4:5] == ("published_at",)
    extra = texts[5:] if has_time else texts[4:]
    is_usual = texts[:4] == _KNOWN and not OWN_FIELDS.intersection(extra)
    return Layout(texts, (_USUAL_WITH_TIME if has_time else _USUAL) if is_usual else None, has_time, extra)


_kept_layout = lru_cache(maxsize=128)(_layout)


def _text(given: Text) -> Text:
    try:
        return given if isinstance(given, str) else given.decode()
    except UnicodeDecodeError:
        return given


def _examine(fields: dict[Text, Any]) -> tuple[Layout, list[Any]]:
    """The same fields in the usual order, their known values in the usual form, if they are sound."""
    for name in (*_KNOWN, "published_at"):
        if isinstance(value := fields.get(name), bytes):
            raise BadEventError("not-utf8", f"{name} is {_shown(value)}, which is not UTF-8 text")
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
    value = float(text) if len(text) <= _MOST_DIGITS and _DECIMAL.fullmatch(text) else math.nan
    if not 0 <= value <= 1:
        raise BadEventError("bad-confidence", f"{_shown(text)} is not a number in 0..1")
    return text


def _published_at(text: str) -> str:
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_MILLISECONDS_DIGITS):
        raise BadEventError("bad-published-at", f"{_shown(text)} is not a time in Unix milliseconds")
    return text


def _shown(value: Text) -> str:
    return repr(value if len(value) <= _SHOWN_CHARACTERS else value[:_SHOWN_CHARACTERS])
