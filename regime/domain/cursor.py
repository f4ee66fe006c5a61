"""The cursor of a listing: the version and question it walks through and the position where the last page ended."""

import base64
import binascii
from dataclasses import dataclass
from hashlib import blake2b

import orjson

from regime.domain.state import SymbolError, valid_symbol
from regime.domain.universe import PagePosition, Query


class CursorError(ValueError):
    """A text that no listing ever gave out."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """``question`` is what ``question_of`` makes of the query that the position belongs to."""

    version: str
    position: PagePosition
    question: str


def question_of(query: Query) -> str:
    """A digest of all that decides which rows there are and in which order, so all but the size of a page."""
    asked = (query.timeframe, query.regime, query.min_score, query.symbols, query.order, query.max_data_age)
    return blake2b(repr(asked).encode(), digest_size=6).hexdigest()


def encode_cursor(cursor: Cursor) -> str:
    text = orjson.dumps([cursor.version, cursor.position.score, cursor.position.symbol, cursor.question])
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def decode_cursor(text: str) -> Cursor:
    """Raises CursorError."""
    try:
        version, score, symbol, question = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if isinstance(version, str) and type(score) is int and len(version) <= 64 and isinstance(question, str):
            return Cursor(version, PagePosition(score, valid_symbol(symbol)), question)
    except (binascii.Error, ValueError, TypeError, AttributeError, SymbolError) as error:
        raise CursorError("Invalid cursor. Omit it to start from the first page.") from error
    raise CursorError("Invalid cursor. Omit it to start from the first page.")
