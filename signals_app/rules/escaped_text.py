"""Bytes that need not be text, as text and back again: what foreign programs call groups, consumers and fields."""

import re

_BACKSLASH_OF_ESCAPE = re.compile(rb"\\(?=x[0-9a-f]{2})")
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")


def escaped(raw: bytes) -> str:
    """UTF-8 as it is, any other byte as ``\\xff``. Where the text itself has such four characters, their backslash
    becomes ``\\x5c``: so two different names never look the same, and ``unescaped`` gives the bytes back."""
    return _BACKSLASH_OF_ESCAPE.sub(rb"\\x5c", raw).decode(errors="backslashreplace")


def unescaped(text: str) -> bytes:
    """The bytes that ``escaped`` shows as ``text``."""
    return _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), text.encode(errors="surrogateescape"))
