"""Request header fields of RFC 9110 as values: Accept-Encoding (12.5.3) and If-None-Match (13.1.2)."""

import re
from collections.abc import Sequence

IDENTITY = "identity"

_ANY = "*"
_ALIASES = {"x-gzip": "gzip"}  # 8.4.1.3
_CODING = re.compile(r"([!#$%&'*+.^_`|~0-9a-z-]+)[ \t]*(?:;[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?")
_ENTITY_TAG = re.compile(r'(?:^|,)[ \t]*(?:W/)?("[!#-~\x80-\xff]*")[ \t]*(?=,|$)')


def preferred_encoding(accept_encoding: str, available: Sequence[str]) -> str:
    """The content coding that suits the client best, of ``available`` (best first) and identity.

    Identity is acceptable unless it is refused, but comes last unless the client weighs it. Where nothing is
    acceptable it is sent all the same, as 12.5.3 recommends. What is no weighted coding counts as not said.
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
