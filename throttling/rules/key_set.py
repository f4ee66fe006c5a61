"""A set of Clerk's public keys, as its JWKS document gives them. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

_MIN_BITS = 2048


class KeySetError(ValueError):
    """A document that is not a JWKS with at least one usable RSA key."""


@dataclass(frozen=True, slots=True)
class KeySet:
    """``keys`` by name (kid), and when they were fetched, in Unix seconds."""

    document: str
    keys: Mapping[str, RSAPublicKey]
    fetched_at: float

    def dump(self) -> str:
        return json.dumps({"fetched_at": self.fetched_at, "document": self.document})


def parse_jwks(document: str, fetched_at: float) -> KeySet:
    """The RSA signing keys of ``document`` (RFC 7517); others are left out. Raises KeySetError if none is left."""
    try:
        entries = json.loads(document)["keys"]
        keys = {entry["kid"]: _key(entry) for entry in entries if _is_for_rs256(entry)}
    except (ValueError, TypeError, KeyError, RecursionError, jwt.PyJWTError) as error:
        raise KeySetError(f"not a JWKS document: {type(error).__name__}") from None
    keys = {kid: key for kid, key in keys.items() if key.key_size >= _MIN_BITS}
    if not keys:
        raise KeySetError(f"no RSA key of at least {_MIN_BITS} bits for RS256 in it")
    return KeySet(document, keys, fetched_at)


def load_key_set(text: str) -> KeySet:
    """The opposite of ``KeySet.dump``. Raises KeySetError."""
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
        and isinstance(entry.get("kid"), str)
        and "d" not in entry
    )


def _key(entry: Mapping[str, Any]) -> RSAPublicKey:
    key = jwt.PyJWK.from_dict(dict(entry), algorithm="RS256").key
    if not isinstance(key, RSAPublicKey):
        raise TypeError("a private key")
    return key
