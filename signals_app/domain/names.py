"""Names of groups, consumers and fields: bytes escaped as text and back, and the rule for our own names."""

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


_MAX_CHARACTERS = 200


def check_name(what: str, name: str) -> None:
    """Raises ValueError: a name is 1 to 200 printable characters without a space, for commands and logs to name it."""
    if not 1 <= len(name) <= _MAX_CHARACTERS or not name.isprintable() or any(map(str.isspace, name)):
        raise ValueError(f"{what} must be a name of 1 to {_MAX_CHARACTERS} printable characters without a space")
