"""Ready-made answers: their bytes, their compressed forms made once, their strong ETag, and when 304 will do."""

import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import zstandard
from django.http import HttpResponse
from rest_framework.request import Request

_WORTH_COMPRESSING = 512  # bytes
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
    """One answer. Compressed forms are made when they are first asked for and kept with it."""

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

    Ready-made bytes need no renderer: DRF has negotiated and passes a plain response of Django on as it is.
    """
    asked: Mapping[str, str] = request.META
    encoding = _encoding(asked.get("HTTP_ACCEPT_ENCODING", "")) if _is_worth_it(given) else "identity"
    headers = {"Cache-Control": cache_control, "Vary": "Accept-Encoding", "ETag": given.tag.header(encoding)}
    held = _confirmed(asked.get("HTTP_IF_NONE_MATCH"), given.tag, confirm_seconds)
    if held is not None:
        headers["ETag"] = held or headers["ETag"]
        return HttpResponse(status=304, content_type=_JSON, headers=headers)
    if encoding != "identity":
        headers["Content-Encoding"] = encoding
    return HttpResponse(given.encoded(encoding), content_type=_JSON, headers=headers)


def _is_worth_it(given: Representation) -> bool:
    return len(given.body) >= _WORTH_COMPRESSING


def _confirmed(if_none_match: str | None, tag: Tag, within_seconds: int) -> str | None:
    """The header value of the held answer that is still right, "" for ``*``, None for none."""
    if if_none_match is None:
        return None
    if if_none_match.strip() == "*":
        return ""
    for value in if_none_match.split(","):
        held = _parsed(value.strip())
        if held is not None and tag.confirms(held, within_seconds):
            return value.strip().removeprefix("W/")
    return None


def _parsed(value: str) -> Tag | None:
    content, _, rest = value.removeprefix("W/").strip('"').partition(".")
    second = rest.partition(".")[0]
    return Tag(content, int(second)) if second.isascii() and second.isdigit() and len(second) < 12 else None


@lru_cache(maxsize=256)
def _encoding(accepted: str) -> str:
    offers = dict(_offers(accepted.split(",")))
    for encoding in ("zstd", "gzip"):
        if offers.get(encoding, offers.get("*", False)):
            return encoding
    return "identity"


def _offers(parts: Iterable[str]) -> Iterable[tuple[str, bool]]:
    for part in parts:
        name, _, weight = part.partition(";")
        yield name.strip().lower(), weight.strip().replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
