"""Parsing of JWKS documents. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from throttling.domain.token_kinds import MIN_BITS

_MAX_BITS = 8192
_MAX_EXPONENT_BITS = 64


class KeySetError(ValueError):
    """A document that is not a JWKS with at least one usable RSA key."""


@dataclass(frozen=True, slots=True)
class KeySet:
    """RSA keys by key id (kid), with the time of their fetch in Unix seconds."""

    document: str
    keys: Mapping[str, RSAPublicKey]
    fetched_at: float

    def dump(self) -> str:
        return json.dumps({"fetched_at": self.fetched_at, "document": self.document})


def parse_jwks(document: str, fetched_at: float) -> KeySet:
    """The RSA signing keys of ``document``. Unusable entries are ignored (RFC 7517, section 5).

    Raises KeySetError if no key is left.
    """
    try:
        entries = list(json.loads(document)["keys"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise KeySetError(f"not a JWKS document: {type(error).__name__}") from None
    usable = [(entry["kid"], _key(entry)) for entry in entries if _is_for_rs256(entry)]
    keys = {kid: key for kid, key in usable if key is not None}
    if not keys:
        raise KeySetError(f"no RSA key of {MIN_BITS} to {_MAX_BITS} bits for RS256 in it")
    return KeySet(document, keys, fetched_at)


def load_key_set(text: str) -> KeySet:
    """Parses the output of ``KeySet.dump``. Raises KeySetError."""
    try:
        stored = json.loads(text)
        return parse_jwks(stored["document"], float(stored["fetched_at"]))
    except (ValueError, TypeError, KeyError) as error:
        raise KeySetError(f"not a stored key set: {error}") from None


def _is_for_rs256(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and entry.get("kty") == "RSA"
        and entry.get("use", "sig") == "sig"
        and entry.get("alg", "RS256") == "RS256"
        and "verify" in _operations(entry.get("key_ops", ["verify"]))
        and all(isinstance(entry.get(name), str) for name in ("kid", "n", "e"))
        and "d" not in entry
    )


def _operations(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _key(entry: Mapping[str, Any]) -> RSAPublicKey | None:
    """None for an invalid, too short or too long key."""
    try:
        key = jwt.PyJWK.from_dict({name: entry[name] for name in ("kty", "n", "e")}, algorithm="RS256").key
    except (ValueError, jwt.PyJWTError):
        return None
    is_usable = isinstance(key, RSAPublicKey) and MIN_BITS <= key.key_size <= _MAX_BITS
    return key if is_usable and key.public_numbers().e.bit_length() <= _MAX_EXPONENT_BITS else None
