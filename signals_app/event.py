"""The event: one trading signal as it stands in the stream, parsed strictly and kept whole."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast
from uuid import UUID

Direction = Literal["long", "short", "flat"]

DIRECTIONS = frozenset({"long", "short", "flat"})
MAX_BYTES = 65_536
MAX_FIELDS = 256

_SYMBOL = re.compile(r"[!-~]{1,64}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MILLISECONDS = re.compile(r"\d{1,15}", re.ASCII)
_KNOWN = ("signal_id", "symbol", "direction", "confidence")
_SHOWN_CHARACTERS = 60


class BadEventError(ValueError):
    """Fields that are no event. ``str`` is the reason, ``<code>: <what is wrong>``, safe to store and to show."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Event:
    """``confidence`` is in 0..1, ``published_at_ms`` in Unix milliseconds; ``extra`` holds the unknown fields."""

    signal_id: UUID
    symbol: str
    direction: Direction
    confidence: float
    published_at_ms: int | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    def as_fields(self) -> list[str]:
        """Field, value, field, value … as XADD takes them."""
        fields = [
            "signal_id", str(self.signal_id), "symbol", self.symbol,
            "direction", self.direction, "confidence", repr(self.confidence),
        ]  # fmt: skip
        if self.published_at_ms is not None:
            fields += ("published_at", str(self.published_at_ms))
        for name, value in self.extra.items():
            fields += (name, value)
        return fields


def parse_entry(fields: Mapping[bytes, bytes]) -> Event:
    """The event in a stream entry. Raises BadEventError with the precise reason."""
    size = sum(map(len, fields)) + sum(map(len, fields.values()))
    if size > MAX_BYTES:
        raise BadEventError("too-large", f"{size} bytes in all, {MAX_BYTES} at most")
    return parse_fields({_name(name): _text(value, name) for name, value in fields.items()})


def _name(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise BadEventError("not-utf8", "the name of a field is not UTF-8 text") from None


def parse_fields(fields: Mapping[str, str]) -> Event:
    """The event in decoded fields. Raises BadEventError with the precise reason."""
    if len(fields) > MAX_FIELDS:
        raise BadEventError("too-many-fields", f"{len(fields)} fields, {MAX_FIELDS} at most")
    extra = dict(fields)
    try:
        signal_id, symbol, direction, confidence = [extra.pop(name) for name in _KNOWN]
    except KeyError as missing:
        raise BadEventError("missing-field", f"there is no {missing.args[0]}") from None
    return Event(
        _signal_id(signal_id),
        _symbol(symbol),
        _direction(direction),
        _confidence(confidence),
        _published_at_ms(extra.pop("published_at", None)),
        extra,
    )


def _text(value: bytes, name: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise BadEventError("not-utf8", f"the value of {_shown(name)} is not UTF-8 text") from None


def _signal_id(text: str) -> UUID:
    if _UUID.fullmatch(text) is None:
        raise BadEventError("bad-signal-id", f"{_shown(text)} is not a UUID")
    return UUID(text)


def _symbol(text: str) -> str:
    if _SYMBOL.fullmatch(text) is None:
        raise BadEventError("bad-symbol", f"{_shown(text)} is not 1 to 64 printable ASCII characters without a space")
    return text


def _direction(text: str) -> Direction:
    if text not in DIRECTIONS:
        raise BadEventError("bad-direction", f"{_shown(text)} is not long, short or flat")
    return cast(Direction, text)


def _confidence(text: str) -> float:
    value = float(text) if _DECIMAL.fullmatch(text) else math.nan
    if not 0 <= value <= 1:
        raise BadEventError("bad-confidence", f"{_shown(text)} is not a number in 0..1")
    return value


def _published_at_ms(text: str | None) -> int | None:
    if text is None:
        return None
    if _MILLISECONDS.fullmatch(text) is None:
        raise BadEventError("bad-published-at", f"{_shown(text)} is not a time in Unix milliseconds")
    return int(text)


def _shown(value: str | bytes) -> str:
    text = value if isinstance(value, str) else value.decode(errors="replace")
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…")
