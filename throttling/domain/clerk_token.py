"""Validation of Clerk tokens. Pure: no clock, no network.

Accepts session tokens with version 1 and version 2 claims (Clerk's session token reference), and OAuth access tokens
and machine tokens as Clerk's backend package reads them.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from throttling.domain.policies import Plan, parse_plans
from throttling.domain.subjects import is_id
from throttling.domain.token_kinds import TokenKind, jwt_kind, opaque_kind

LEEWAY_SECONDS = 10
MAX_SESSION_TOKEN_SECONDS = 86_400  # tokens of Clerk expire after a minute
MAX_TOKEN_CHARACTERS = 8192  # Clerk's tokens fit into a cookie of 4 kB
_COMPACT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]*", re.ASCII)  # PyJWT ignores characters that are not base64
_SIGNATURES = jwt.PyJWS(algorithms=["RS256"])


REASONS = (
    "algorithm", "authorized-party", "expired", "inactive", "issuer", "kind", "lifetime", "malformed", "not-yet-valid",
    "pending", "revoked", "scheme", "signature", "too-long", "unknown",
    "unknown-key",
)  # fmt: skip
"""Values of the label `reason` of the bad-token metric."""


class BadTokenError(Exception):
    """An invalid credential. ``reason`` is a metric label; the message may be shown to the caller."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class BadSignatureError(BadTokenError):
    """The signature is not by this key; perhaps by a newer key with the same id."""


class UnknownKeyError(BadTokenError):
    """The token names an unknown key; perhaps one that was just created."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The user or machine that a valid token identifies, until ``expires_at`` (Unix seconds).

    ``plans`` is None for tokens without plans (version 1); ``scopes`` None allows every route.
    """

    user_id: str
    organization_id: str | None
    plans: tuple[Plan, ...] | None
    impersonator: str | None
    session_id: str | None
    expires_at: float
    claims: Mapping[str, Any]
    kind: TokenKind = TokenKind.SESSION
    scopes: frozenset[str] | None = None

    @property
    def valid_until(self) -> float:
        """When the token stops being accepted (Unix seconds)."""
        return self.expires_at + LEEWAY_SECONDS


def read_header(token: str) -> dict[str, Any]:
    """The unverified header of ``token``. Raises BadTokenError."""
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise BadTokenError("too-long", "The token is too long.")
    if not _COMPACT.fullmatch(token):
        raise _malformed() if (kind := opaque_kind(token)) is None else not_accepted(kind)
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise _malformed() from None
    if header.get("alg") != "RS256":
        raise BadTokenError("algorithm", "The token must be signed with RS256.")
    return header


def verified_claims(token: str, key: RSAPublicKey) -> dict[str, Any]:
    """The claims of ``token``, signed by ``key``. Raises BadTokenError, BadSignatureError."""
    return _claims(token, key)


def unverified_claims(token: str) -> dict[str, Any]:
    """The claims of ``token`` without a check of its signature. Raises BadTokenError."""
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


def not_accepted(kind: TokenKind | None) -> BadTokenError:
    """The error for a token of a kind that is not accepted."""
    return BadTokenError("kind", f"{kind.label if kind else 'Tokens of this type'} are not accepted here.")


def identity_of(
    header: Mapping[str, Any], claims: Mapping[str, Any], issuer: str, authorized_parties: Collection[str], now: float
) -> Identity:
    """Validates ``claims`` at ``now`` (Unix seconds). Without ``authorized_parties`` every party is accepted.

    Raises BadTokenError.
    """
    kind = jwt_kind(header, claims)
    expires_at = _check_times(claims, now)
    if claims.get("iss") != issuer:
        raise BadTokenError("issuer", "The token comes from another issuer.")
    if kind is TokenKind.SESSION:
        return _session(claims, authorized_parties, expires_at, now)
    if kind is TokenKind.OAUTH:
        user, scopes = _id(claims, "sub", "user_"), claims.get("scp", claims.get("scope"))
        return Identity(user, None, None, _impersonator(claims), None, expires_at, claims, kind, _scopes(scopes))
    if kind is TokenKind.M2M:
        machine, scopes = _id(claims, "sub", "mch_"), claims.get("scopes", claims.get("aud"))
        return Identity(machine, None, (), None, None, expires_at, claims, kind, _scopes(scopes))
    raise not_accepted(kind)


def _session(claims: Mapping[str, Any], authorized_parties: Collection[str], expires_at: float, now: float) -> Identity:
    party, state = claims.get("azp"), claims.get("sts")
    if authorized_parties and not (isinstance(party, str) and party in authorized_parties):
        raise BadTokenError("authorized-party", "The token was made for another site.")
    if state == "pending":
        raise BadTokenError("pending", "The session is pending: finish signing in.")
    if not isinstance(state, str | None):
        raise BadTokenError("malformed", "The claim 'sts' is not a state.")
    if expires_at - min(now, _time(claims, "iat", now)) > MAX_SESSION_TOKEN_SECONDS + LEEWAY_SECONDS:
        raise BadTokenError("lifetime", "The token lives longer than a session token may.")
    return Identity(
        user_id=_id(claims, "sub", "user_"),
        organization_id=_organization(claims),
        plans=tuple(parse_plans(claims["pla"])) if isinstance(claims.get("pla"), str) else None,
        impersonator=_impersonator(claims),
        session_id=_id(claims, "sid", "sess_"),
        expires_at=expires_at,
        claims=claims,
    )


def _check_times(claims: Mapping[str, Any], now: float) -> float:
    expires_at, not_before = _time(claims, "exp"), _time(claims, "nbf", 0.0)
    if now >= expires_at + LEEWAY_SECONDS:
        raise BadTokenError("expired", "The token has expired.")
    if now < max(not_before, _time(claims, "iat", 0.0)) - LEEWAY_SECONDS:
        raise BadTokenError("not-yet-valid", "The token is not valid yet.")
    return expires_at


def _time(claims: Mapping[str, Any], name: str, default: float | None = None) -> float:
    value = claims.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        raise BadTokenError("malformed", f"The claim {name!r} is not a time.")
    return float(value)


def _organization(claims: Mapping[str, Any]) -> str | None:
    """The active organisation: ``o.id`` in version 2, ``org_id`` in version 1."""
    nested = claims.get("o")
    return _optional_id(nested, "id") if isinstance(nested, dict) else _optional_id(claims, "org_id")


def _impersonator(claims: Mapping[str, Any]) -> str | None:
    actor = claims.get("act")
    if actor is None:
        return None
    if not isinstance(actor, dict):
        raise BadTokenError("malformed", "The claim 'act' is not an object.")
    return _optional_id(actor, "sub")


def _scopes(value: object) -> frozenset[str]:
    """A list of strings, or one string separated by spaces (RFC 6749, 3.3)."""
    listed = value.split() if isinstance(value, str) else value or []
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise BadTokenError("malformed", "The token's scopes are not strings.")
    return frozenset(listed)


def _id(claims: Mapping[str, Any], name: str, prefix: str) -> str:
    value = _optional_id(claims, name)
    if value is None or not value.startswith(prefix):
        raise BadTokenError("malformed", f"The claim {name!r} is not an id that begins with {prefix}.")
    return value


def _optional_id(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is None:
        return None
    if not is_id(value):
        raise BadTokenError("malformed", f"The claim {name!r} is not an id.")
    return str(value)


def _malformed() -> BadTokenError:
    return BadTokenError("malformed", "The token is not a JSON Web Token.")
