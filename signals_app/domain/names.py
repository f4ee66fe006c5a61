"""Names of groups, consumers and fields: escaping of bytes as text; and the validation of options given by users."""

import re

_BACKSLASH_OF_ESCAPE = re.compile(rb"\\(?=x[0-9a-f]{2})")
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")


def escaped(raw: bytes) -> str:
    """UTF-8 unchanged, any other byte as ``\\xff``. A backslash that would look like such an escape becomes ``\\x5c``,
    so that the mapping is unique and ``unescaped`` reverses it."""
    return _BACKSLASH_OF_ESCAPE.sub(rb"\\x5c", raw).decode(errors="backslashreplace")


def unescaped(text: str) -> bytes:
    """The inverse of ``escaped``."""
    return _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), text.encode(errors="surrogateescape"))


_MAX_CHARACTERS = 200


def check_name(what: str, name: str) -> None:
    """Raises ValueError unless the name has 1 to 200 printable characters without a space."""
    if not 1 <= len(name) <= _MAX_CHARACTERS or not name.isprintable() or any(map(str.isspace, name)):
        raise ValueError(f"{what} must be a name of 1 to {_MAX_CHARACTERS} printable characters without a space")


def check_range(option: str, value: float, least: float, most: float) -> None:
    """Raises ValueError with the option and its range. NaN is out of any range."""
    if not least <= value <= most:
        raise ValueError(f"{option} must be {least:,} to {most:,}, not {value}")
