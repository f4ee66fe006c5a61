"""The event: one trading signal as it stands in the stream, parsed strictly and kept whole."""

import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple
from uuid import UUID

Direction = Literal["long", "short", "flat"]

DIRECTIONS = frozenset({"long", "short", "flat"})
MAX_BYTES = 65_536
MAX_FIELDS = 256

_KNOWN = ["signal_id", "symbol", "direction", "confidence"]
_NO_EXTRA: Mapping[str, str] = MappingProxyType({})
# The known values of nearly every event, in their usual form, in one match; what does not match is examined.
_USUAL = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\n[!-~]{1,64}\n(?:long|short|flat)\n"
    r"(?:0(?:\.[0-9]{1,24})?|1(?:\.0{1,24})?)"
)
_SYMBOL = re.compile(r"[!-~]{1,64}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MOST_MILLISECONDS_DIGITS = 15
_MOST_DIGITS = 400  # the exact decimal form of a small double
_SHOWN_CHARACTERS = 60


class BadEventError(ValueError):
    """Fields that are no event. ``str`` is the reason, ``<code>: <what is wrong>``, safe to store and to show."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


class Event(NamedTuple):
    """``signal_id`` is a UUID in lower case with hyphens, ``confidence`` is in 0..1, ``published_at_ms`` in Unix
    milliseconds; ``extra`` holds the unknown fields. A tuple, because a consumer makes a hundred thousand a second.
    """

    signal_id: str
    symbol: str
    direction: Direction
    confidence: float
    published_at_ms: int | None = None
    extra: Mapping[str, str] = _NO_EXTRA

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


def parse_entry(fields: Mapping[bytes, bytes]) -> Event:
    """The event in a stream entry. Raises BadEventError with the precise reason."""
    joined = b"\0".join([*fields, *fields.values()])
    if len(joined) > MAX_BYTES:
        raise BadEventError("too-large", f"{len(joined)} bytes in all, {MAX_BYTES} at most")
    try:
        texts = joined.decode().split("\0")
    except UnicodeDecodeError as error:
        raise BadEventError("not-utf8", f"{joined[error.start : error.end]!r} is not UTF-8 text") from None
    if len(texts) != 2 * len(fields):  # a NUL in a value
        texts = [text.decode() for text in (*fields, *fields.values())]
    return _parse(texts[: len(fields)], texts[len(fields) :])


def parse_fields(fields: Mapping[str, str]) -> Event:
    """The event in decoded fields. Raises BadEventError with the precise reason."""
    return _parse(list(fields), list(fields.values()))


def _parse(names: list[str], values: list[str]) -> Event:
    if len(names) > MAX_FIELDS:
        raise BadEventError("too-many-fields", f"{len(names)} fields, {MAX_FIELDS} at most")
    if names[:4] != _KNOWN or _USUAL.fullmatch("\n".join(values[:4])) is None:
        names, values = _examine(dict(zip(names, values, strict=True)))
    signal_id, symbol, direction, confidence = values[:4]
    if len(names) == 4:
        return Event(signal_id, symbol, direction, float(confidence))  # type: ignore[arg-type]
    extra = dict(zip(names[4:], values[4:], strict=True))
    published_at_ms = _published_at_ms(extra.pop("published_at", None))
    return Event(signal_id, symbol, direction, float(confidence), published_at_ms, extra)  # type: ignore[arg-type]


def _examine(fields: dict[str, str]) -> tuple[list[str], list[str]]:
    """Names and values with the four known ones first and in their usual form, if they are sound."""
    try:
        signal_id, symbol, direction, confidence = [fields.pop(name) for name in _KNOWN]
    except KeyError as missing:
        raise BadEventError("missing-field", f"there is no {missing.args[0]}") from None
    known = [_signal_id(signal_id), _symbol(symbol), _direction(direction), _confidence(confidence)]
    return [*_KNOWN, *fields], [*known, *fields.values()]


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


def _published_at_ms(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_MILLISECONDS_DIGITS):
        raise BadEventError("bad-published-at", f"{_shown(text)} is not a time in Unix milliseconds")
    return int(text)


def _shown(value: str) -> str:
    return repr(value if len(value) <= _SHOWN_CHARACTERS else value[:_SHOWN_CHARACTERS])
