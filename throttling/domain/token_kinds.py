"""The kinds of tokens that a Clerk instance issues, distinguished as Clerk's backend package does. Pure.

All JSON Web Tokens of an instance verify with the same key, so a valid signature does not prove a session token.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

MIN_BITS = 2048  # of an RSA key that signs tokens (RFC 7518, 3.3)


class TokenKind(StrEnum):
    """The values of CLERK_ACCEPTED_TOKENS."""

    SESSION = "session_token"
    OAUTH = "oauth_token"
    M2M = "m2m_token"
    API_KEY = "api_key"

    @property
    def label(self) -> str:
        """The kind in words, capitalised."""
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
)  # other categories are templates and machines
_MACHINE = "mch_"
_OPAQUE = {"ak_": TokenKind.API_KEY, "oat_": TokenKind.OAUTH, "mt_": TokenKind.M2M}


def opaque_kind(token: str) -> TokenKind | None:
    """The kind of an opaque token, by its prefix; None for any other text."""
    return next((kind for prefix, kind in _OPAQUE.items() if token.startswith(prefix)), None)


def jwt_kind(header: Mapping[str, Any], claims: Mapping[str, Any]) -> TokenKind | None:
    """The kind of a JSON Web Token: by its type, then by the prefix of its subject, then by Clerk's category.

    None for an unknown kind.
    """
    typ, subject = header.get("typ"), claims.get("sub")
    lowered = typ.lower() if isinstance(typ, str) else typ
    if lowered in _OAUTH_TYPES:
        return TokenKind.OAUTH
    if isinstance(subject, str) and subject.startswith(_MACHINE):
        return TokenKind.M2M
    is_session = (typ is None or lowered in _SESSION_TYPES) and header.get("cat") in _SESSION_CATEGORIES
    return TokenKind.SESSION if is_session else None
