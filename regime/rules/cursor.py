"""The cursor of a listing: the version it walks through and the place where the last page ended."""

import base64
import binascii
from dataclasses import dataclass

import orjson

from regime.rules.listing import Place
from regime.rules.state import SymbolError, valid_symbol


class CursorError(ValueError):
    """A text that no listing ever gave out."""


@dataclass(frozen=True, slots=True)
class Cursor:
    version: str
    place: Place


def encode_cursor(cursor: Cursor) -> str:
    text = orjson.dumps([cursor.version, cursor.place.score, cursor.place.symbol])
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def decode_cursor(text: str) -> Cursor:
    """Raises CursorError."""
    try:
        version, score, symbol = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if isinstance(version, str) and isinstance(score, int) and len(version) <= 64:
            return Cursor(version, Place(score, valid_symbol(symbol)))
    except (binascii.Error, ValueError, TypeError, AttributeError, SymbolError) as error:
        raise CursorError("This is no cursor that a page gave out. Start without one.") from error
    raise CursorError("This is no cursor that a page gave out. Start without one.")
