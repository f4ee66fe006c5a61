"""The kinds of tokens that a Clerk instance issues, told apart as Clerk's own backend package does. Pure.

All of them that are JSON Web Tokens verify with the same key, so a signature alone does not make a session token.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

MIN_BITS = 2048  # of an RSA key that signs tokens (RFC 7518, 3.3)


class TokenKind(StrEnum):
    """The names of CLERK_ACCEPTED_TOKENS."""

    SESSION = "session_token"
    OAUTH = "oauth_token"
    M2M = "m2m_token"
    API_KEY = "api_key"

    @property
    def label(self) -> str:
        """The kind in words, at the start of a sentence."""
        return _LABELS[self]


_LABELS = {
    TokenKind.SESSION: "Session tokens",
    TokenKind.OAUTH: "OAuth access tokens",
    TokenKind.M2M: "Machine tokens",
    TokenKind.API_KEY: "API keys of Clerk",
}
_OAUTH_TYPES = ("at+jwt", "application/at+jwt")  # RFC 9068, 2.1
_SESSION_TYPES = ("jwt", "application/jwt")  # RFC 7519, 5.1
_SESSION_CATEGORIES = (
    None,
    "cl_B7d4PD111AAA",
    "cl_I7d4PD111III",
)  # the rest are templates, machines and whatever comes
_MACHINE = "mch_"
_OPAQUE = {"ak_": TokenKind.API_KEY, "oat_": TokenKind.OAUTH, "mt_": TokenKind.M2M}


def opaque_kind(token: str) -> TokenKind | None:
    """The kind of a token that only Clerk can read; None for any other text."""
    return next((kind for prefix, kind in _OPAQUE.items() if token.startswith(prefix)), None)


def jwt_kind(header: Mapping[str, Any], claims: Mapping[str, Any]) -> TokenKind | None:
    """The kind of a JSON Web Token: by its type, then by the prefix of its subject, then by Clerk's category.

    None for a kind that is not known.
    """
    typ, subject = header.get("typ"), claims.get("sub")
    lowered = typ.lower() if isinstance(typ, str) else typ
    if lowered in _OAUTH_TYPES:
        return TokenKind.OAUTH
    if isinstance(subject, str) and subject.startswith(_MACHINE):
        return TokenKind.M2M
    is_session = (typ is None or lowered in _SESSION_TYPES) and header.get("cat") in _SESSION_CATEGORIES
    return TokenKind.SESSION if is_session else None
