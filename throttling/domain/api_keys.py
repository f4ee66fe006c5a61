"""The API's own keys: how one looks, and what is kept of it. Pure."""

import hashlib
import re

PREFIX = "avo_"
SHOWN_CHARACTERS = 12
KEY_BITS = 160
_KEY = re.compile(rf"(?:{PREFIX})?[0-9a-f]{{{KEY_BITS // 4}}}")  # without the prefix: as DRF makes them


def key_of(random_bits: int) -> str:
    """``random_bits`` has KEY_BITS of them."""
    return f"{PREFIX}{random_bits:0{KEY_BITS // 4}x}"


def is_key(text: str) -> bool:
    """Whether ``text`` looks like a key of the API's own."""
    return _KEY.fullmatch(text) is not None


def digest(key: str) -> str:
    """What is kept of a key: SHA-256, 64 hexadecimal digits. A key is random and long, so nobody can guess it from
    this and no slow hash is needed."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def shown(key: str) -> str:
    """The beginning of a key, by which people tell theirs apart."""
    return key[:SHOWN_CHARACTERS] if is_key(key) else ""
