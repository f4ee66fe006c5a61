"""Prepared responses: bytes, compressed forms, strong ETag, and when 304 applies."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import zstandard
from django.http import HttpResponse
from rest_framework.request import Request

from regime.domain.http_fields import IDENTITY, entity_tags, preferred_encoding

_WORTH_COMPRESSING = 512  # bytes
_BYTES_A_UNIT = 100_000  # before compression
_ENCODINGS = ("zstd", "gzip")  # best first
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Tag:
    """A strong validator: ``content`` names what the answer says, ``second`` the age that is written into it.

    Two answers of one tag are the same bytes. An answer that says the same and is only some seconds older may be
    confirmed: it is the answer that was right then, and a cache could have given it as well.
    """

    content: str
    second: int = 0

    def confirms(self, held: "Tag", within_seconds: int) -> bool:
        """Whether a client that holds ``held`` need not be sent this one."""
        return held.content == self.content and 0 <= self.second - held.second <= within_seconds

    def header(self, encoding: str) -> str:
        return f'"{self.content}.{self.second}.{encoding}"'


class Representation:
    """One answer. Compressed forms are made on first use and stored with it."""

    def __init__(self, body: bytes, tag: Tag) -> None:
        self.body = body
        self.tag = tag

    @cached_property
    def _zstd(self) -> bytes:
        return zstandard.ZstdCompressor(level=3).compress(self.body)

    @cached_property
    def _gzip(self) -> bytes:
        return gzip.compress(self.body, 6, mtime=0)

    def encoded(self, encoding: str) -> bytes:
        return {"zstd": lambda: self._zstd, "gzip": lambda: self._gzip}.get(encoding, lambda: self.body)()


def answer(request: Request, given: Representation, cache_control: str, confirm_seconds: int = 0) -> HttpResponse:
    """The response to ``request``: 304 when the client's copy will do, else the bytes in a form that it accepts.

    A large one costs more units. Ready-made bytes need no renderer: DRF has negotiated and passes a plain response of
    Django on as it is.
    """
    asked: Mapping[str, str] = request.META
    is_worth_it = len(given.body) >= _WORTH_COMPRESSING
    encoding = preferred_encoding(asked.get("HTTP_ACCEPT_ENCODING", ""), _ENCODINGS) if is_worth_it else IDENTITY
    headers = {"Cache-Control": cache_control, "Vary": "Accept-Encoding", "ETag": given.tag.header(encoding)}
    if if_none_match := asked.get("HTTP_IF_NONE_MATCH"):
        confirmed = _confirmed(if_none_match, given.tag, encoding, confirm_seconds)
        if confirmed is not None:
            return HttpResponse(status=304, content_type=_JSON, headers={**headers, "ETag": confirmed})
    if encoding != IDENTITY:
        headers["Content-Encoding"] = encoding
    response = HttpResponse(given.encoded(encoding), content_type=_JSON, headers=headers)
    response.throttle_cost = 1 + len(given.body) // _BYTES_A_UNIT  # type: ignore[attr-defined]
    return response


def _confirmed(if_none_match: str, tag: Tag, encoding: str, within_seconds: int) -> str | None:
    """The ETag of the client's copy that is still right in this encoding, None when it has none."""
    for value in entity_tags(if_none_match):
        if value == "*":
            return tag.header(encoding)
        held = _parsed(value)
        if held is not None and held.header(encoding) == value and tag.confirms(held, within_seconds):
            return value
    return None


def _parsed(value: str) -> Tag | None:
    content, _, rest = value.strip('"').partition(".")
    second = rest.partition(".")[0]
    return Tag(content, int(second)) if second.isascii() and second.isdigit() and len(second) < 12 else None
