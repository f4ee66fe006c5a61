"""The members of a JSON object as text, each value exactly as it stands there."""

import re
from collections.abc import Iterator
from json import JSONDecoder

_BETWEEN = re.compile(r"[ \t\r\n,:]*")
_DECODER = JSONDecoder(parse_int=str, parse_float=str)  # the values are not looked at: 5,000 digits are no number here


def json_members(text: str) -> dict[str, str]:
    """The value's own JSON text by name, for a string the string itself; a null is left out. ``text`` must be known to
    be a JSON object: it is not checked again. Raises RecursionError when it is nested too deeply."""
    return dict(_members(text))


def _members(text: str) -> Iterator[tuple[str, str]]:
    at = _skip(text, text.index("{") + 1)
    while text[at] != "}":
        name, at = _DECODER.raw_decode(text, at)
        begin = _skip(text, at)
        value, end = _DECODER.raw_decode(text, begin)
        own = text[begin:end]
        if own != "null":
            yield name, value if own.startswith('"') else own
        at = _skip(text, end)


def _skip(text: str, at: int) -> int:
    match = _BETWEEN.match(text, at)
    return match.end() if match else at
