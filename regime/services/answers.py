"""The API's answers about states, the collection and macro series: bytes, compressed forms, strong entity tags, and
when a client's copy is confirmed with 304.

The request header fields are those of RFC 9110: Accept-Encoding (12.5.3) and If-None-Match (13.1.2).
"""

import gzip
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import orjson
import zstandard
from django.http import HttpResponse
from rest_framework.request import Request

from avo_project.http.json import dump_json
from avo_project.lib.bounded_dict import BoundedDict
from regime.domain.freshness import Classification, data_through_value
from regime.domain.state import REGIMES, TIMEFRAMES, StoredState, dominant_regimes
from regime.domain.universe import Cursor, PagePosition, Query, Universe, encode_cursor, query_digest
from regime.services.collection import Version

_MAX_CACHED = 64
_WORTH_COMPRESSING = 512  # bytes
_BYTES_A_UNIT = 100_000  # before compression
_ENCODINGS = ("zstd", "gzip")  # best first
_JSON = "application/json"
IDENTITY = "identity"
_ANY = "*"
_ALIASES = {"x-gzip": "gzip"}  # 8.4.1.3
_CODING = re.compile(r"([!#$%&'*+.^_`|~0-9a-z-]+)[ \t]*(?:;[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?")
_ENTITY_TAG = re.compile(r'(?:^|,)[ \t]*(?:W/)?("[!#-~\x80-\xff]*")[ \t]*(?=,|$)')


@dataclass(frozen=True, slots=True)
class Tag:
    """A strong validator: ``content`` is a digest of the answer without its age, ``second`` the age in it, in seconds.

    Equal tags mean equal bytes. An answer with the same content that is a few seconds older may be confirmed with 304:
    it was correct when it was made, and a cache could have returned it as well.
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


def preferred_encoding(accept_encoding: str, available: Sequence[str]) -> str:
    """The content coding that suits the client best, of ``available`` (best first) and identity.

    Identity is acceptable unless it is refused, but comes last unless the client weighs it. Where nothing is
    acceptable it is sent all the same, as 12.5.3 recommends. Anything else than a weighted coding is ignored.
    """
    weights = _weights(accept_encoding)
    best, highest = IDENTITY, weights.get(IDENTITY, 0.0)
    for coding in reversed(available):
        weight = weights.get(coding, weights.get(_ANY, 0.0))
        if weight and weight >= highest:
            best, highest = coding, weight
    return best


def entity_tags(if_none_match: str) -> list[str]:
    """The opaque tags, with their quotes and without ``W/``: If-None-Match compares weakly. ``["*"]`` for any."""
    if if_none_match.strip(" \t") == _ANY:
        return [_ANY]
    return _ENTITY_TAG.findall(if_none_match)


def _weights(accept_encoding: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for part in accept_encoding.lower().split(","):
        if found := _CODING.fullmatch(part.strip(" \t")):
            weights[_ALIASES.get(found[1], found[1])] = float(found[2] or 1)
    return weights


class CollectionAnswers:
    """Makes each answer once a second at most, however many ask for it."""

    def __init__(self) -> None:
        self._cached: BoundedDict[tuple[object, ...], Representation] = BoundedDict(_MAX_CACHED)

    def answer(self, version: Version, query: Query, after: PagePosition | None, now: float) -> Representation:
        """One page of ``version`` with the summary of all its current states; ``now`` is in Unix seconds."""
        name, universe = version.universe.at(now)
        age_seconds = max(0, int(now - version.built_at))
        key = (version.name, version.built_at, name, query, after)
        cached = self._cached.get(key)
        if cached is None or cached.tag.second != age_seconds:
            tag = Tag(blake2b(repr(key).encode(), digest_size=9).hexdigest(), age_seconds)
            cached = Representation(_body(version, universe, query, after, age_seconds, now), tag)
            self._cached[key] = cached
        return cached


def _body(
    version: Version, universe: Universe, query: Query, after: PagePosition | None, age_seconds: int, now: float
) -> bytes:
    page = universe.page(query, after, now)
    ends = page.ended_at and encode_cursor(Cursor(version.name, page.ended_at, query_digest(query)))
    return b'{"as_of":%b,"age_seconds":%d,"symbols":%d,"timeframes":%b,"count":%d,"next":%b,"results":[%b]}' % (
        orjson.dumps(plain(version.built_at)),
        age_seconds,
        len(universe),
        universe.summary_json,
        page.count,
        orjson.dumps(ends),
        page.rows,
    )


_STARTS = tuple((timeframe, index * len(REGIMES)) for index, timeframe in enumerate(TIMEFRAMES))


def state_answer(state: StoredState, classification: Classification) -> Representation:
    """What ``GET /api/intelligence/regime/<symbol>`` says of a current state."""
    dominants = dominant_regimes(state.scores)
    age_seconds = int(classification.age_seconds or 0)
    fields = {
        "symbol": state.symbol,
        "computed_at": plain(classification.computed_at),
        "age_seconds": age_seconds,
        "expires_at": plain(classification.expires_at),
        "data_through": data_through_value(state.data_through),
        "scores": {
            timeframe: dict(zip(REGIMES, state.scores[start : start + len(REGIMES)], strict=True))
            for timeframe, start in _STARTS
        },
        "dominant": {
            timeframe: None if index is None else REGIMES[index]
            for timeframe, index in zip(TIMEFRAMES, dominants, strict=True)
        },
    }
    content = repr((state.scores, classification.computed_at, classification.expires_at, state.data_through)).encode()
    return Representation(dump_json(fields), Tag(blake2b(content, digest_size=9).hexdigest(), age_seconds))


def plain(seconds: float | None) -> int | float | None:
    """Whole seconds without a fraction, as they are written in Redis."""
    return int(seconds) if seconds is not None and seconds.is_integer() else seconds


class MacroAnswers:
    """Caches the representation of each answer by its query."""

    def __init__(self) -> None:
        self._cached: BoundedDict[Hashable, Representation] = BoundedDict(_MAX_CACHED)

    def answer(self, query: Hashable, body: bytes) -> Representation:
        cached = self._cached.get(query)
        if cached is None or cached.body != body:
            cached = self._cached[query] = Representation(body, Tag(blake2b(body, digest_size=9).hexdigest()))
        return cached
