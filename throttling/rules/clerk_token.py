"""What a Clerk session token says, and whether it may be believed. Pure: no clock, no network.

Claims of version 2 and of version 1, as Clerk's session token reference gives them.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from throttling.rules.subjects import is_id
from throttling.rules.tiers import Plan, parse_plans

LEEWAY_SECONDS = 10
MAX_TOKEN_CHARACTERS = 8192  # Clerk's own tokens live in a cookie of at most 4 kB
_COMPACT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]*", re.ASCII)  # PyJWT would skip what is not base64
_SIGNATURES = jwt.PyJWS(algorithms=["RS256"])


class BadTokenError(Exception):
    """A token that proves nothing. ``reason`` is a short word for metrics; the text is safe to show to its bearer."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class BadSignatureError(BadTokenError):
    """Not signed by this key. Perhaps by a newer one of the same name."""


class UnknownKeyError(BadTokenError):
    """Signed by a key that is not known. Perhaps by one that was just made."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a checked token speaks for. ``plans`` is None when the token does not say (version 1)."""

    user_id: str
    organization_id: str | None
    plans: tuple[Plan, ...] | None
    impersonator: str | None
    session_id: str | None
    expires_at: float
    claims: Mapping[str, Any]


def read_kid(token: str) -> str:
    """The name of the key that ``token`` says it is signed with. Raises BadTokenError."""
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise BadTokenError("too-long", "The token is too long.")
    if not _COMPACT.fullmatch(token):
        raise _malformed()
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise _malformed() from None
    if header.get("alg") != "RS256":
        raise BadTokenError("algorithm", "The token must be signed with RS256.")
    return str(header.get("kid", ""))


def verified_claims(token: str, key: RSAPublicKey) -> dict[str, Any]:
    """The claims of ``token`` if ``key`` signed them. Raises BadTokenError, BadSignatureError."""
    return _claims(token, key)


def unverified_claims(token: str) -> dict[str, Any]:
    """What ``token`` claims, whoever signed it. Raises BadTokenError."""
    return _claims(token, None)


def _claims(token: str, key: RSAPublicKey | None) -> dict[str, Any]:
    try:
        signed = _SIGNATURES.decode(token, key or "", ["RS256"], options={"verify_signature": key is not None})
        payload = json.loads(signed)
    except jwt.InvalidSignatureError:
        raise BadSignatureError("signature", "The token's signature is wrong.") from None
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise _malformed() from None
    if not isinstance(payload, dict):
        raise BadTokenError("malformed", "The token has no claims.")
    return payload


def identity_of(claims: Mapping[str, Any], issuer: str, authorized_parties: Collection[str], now: float) -> Identity:
    """Checks ``claims`` at ``now`` (Unix seconds) and says whom they name. Without ``authorized_parties`` any will do.

    Raises BadTokenError.
    """
    expires_at = _check_times(claims, now)
    if claims.get("iss") != issuer:
        raise BadTokenError("issuer", "The token comes from another issuer.")
    party = claims.get("azp")
    if authorized_parties and not (isinstance(party, str) and party in authorized_parties):
        raise BadTokenError("authorized-party", "The token was made for another site.")
    if claims.get("sts") == "pending":
        raise BadTokenError("pending", "The session is pending: finish signing in.")
    return Identity(
        user_id=_id(claims, "sub") or _no_subject(),
        organization_id=_organization(claims),
        plans=tuple(parse_plans(claims["pla"])) if isinstance(claims.get("pla"), str) else None,
        impersonator=_impersonator(claims),
        session_id=_id(claims, "sid"),
        expires_at=expires_at,
        claims=claims,
    )


def _check_times(claims: Mapping[str, Any], now: float) -> float:
    expires_at, not_before = _time(claims, "exp"), _time(claims, "nbf", 0.0)
    if now >= expires_at + LEEWAY_SECONDS:
        raise BadTokenError("expired", "The token has expired.")
    if now < not_before - LEEWAY_SECONDS:
        raise BadTokenError("not-yet-valid", "The token is not valid yet.")
    return expires_at


def _time(claims: Mapping[str, Any], name: str, default: float | None = None) -> float:
    value = claims.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        raise BadTokenError("malformed", f"The claim {name!r} is not a time.")
    return float(value)


def _organization(claims: Mapping[str, Any]) -> str | None:
    """Version 2 names the active organisation in ``o.id``, version 1 in ``org_id``."""
    nested = claims.get("o")
    return _id(nested, "id") if isinstance(nested, dict) else _id(claims, "org_id")


def _impersonator(claims: Mapping[str, Any]) -> str | None:
    actor = claims.get("act")
    if actor is None:
        return None
    if not isinstance(actor, dict):
        raise BadTokenError("malformed", "The claim 'act' names nobody.")
    return _id(actor, "sub")


def _id(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is None:
        return None
    if not is_id(value):
        raise BadTokenError("malformed", f"The claim {name!r} is not an id.")
    return str(value)


def _malformed() -> BadTokenError:
    return BadTokenError("malformed", "The token is not a JSON Web Token.")


def _no_subject() -> str:
    raise BadTokenError("malformed", "The token names no user.")
