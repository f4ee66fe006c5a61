"""DRF authentication classes of every API route."""

import re
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from prometheus_client import Counter
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from avo_project.http.problems import Problem
from throttling.conf import ThrottlingConf
from throttling.domain.clerk_token import REASONS, BadTokenError, Identity, not_accepted
from throttling.domain.scopes import EVERY_TOKEN
from throttling.domain.token_kinds import TokenKind, opaque_kind
from throttling.services import process
from throttling.services.answers import rejection
from throttling.services.api_keys import VerifiedKey, is_key
from throttling.services.callers import ClerkUser
from throttling.services.jwks import KeysUnavailableError
from throttling.services.rate_limiter import DECISION

_CHALLENGE = 'Bearer realm="api"'
BAD_TOKENS = Counter("avo_throttle_bad_tokens", "Rejected tokens", ["reason"])
for _reason in REASONS:
    BAD_TOKENS.labels(_reason)  # created at 0, so that a rate includes the first one
_CREDENTIAL = re.compile(r"(?P<scheme>[^ ]*) *(?P<token>.*)", re.DOTALL)
Found = tuple[Any, VerifiedKey | Identity]


class CredentialAuthentication(BaseAuthentication):
    """Authenticates by the Authorization field. An invalid credential is a 401, never an anonymous caller.

    ``Bearer`` accepts Clerk tokens and API keys, ``Token`` accepts API keys. Without Authorization, X-API-Key is read
    like ``Token``. ``request.auth`` has ``valid_until`` (Unix seconds, or None) and ``scopes``.
    """

    def authenticate(self, request: Request) -> Found | None:
        header = request.META.get("HTTP_AUTHORIZATION", "").strip(" ")
        key = request.META.get("HTTP_X_API_KEY", "").strip(" ")
        if not header and not key:
            return None
        credential = _CREDENTIAL.fullmatch(header or f"Token {key}")
        scheme, token = credential.groups()  # type: ignore[union-attr]  # it matches every text
        caller, auth = _recalled(request, scheme.lower(), token) or _checked(request, scheme.lower(), token)
        _require_scope(request, caller, auth.scopes)
        return caller, auth

    def authenticate_header(self, request: Request) -> str:
        return _CHALLENGE


class AdminSessionAuthentication(SessionAuthentication):
    """Authenticates by the admin session. Reads no session when the request has no cookie."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        return super().authenticate(request) if settings.SESSION_COOKIE_NAME in request.COOKIES else None


def _is_own_key(scheme: str, token: str) -> bool:
    return scheme == "token" or (scheme == "bearer" and is_key(token))


def _recalled(request: Request, scheme: str, token: str) -> Found | None:
    """The caller of a cached credential that has not expired. A write always reads its API key again."""
    if _is_own_key(scheme, token):
        key = process.api_keys().recall(token) if request.method in SAFE_METHODS else None
        return (key.user, key) if key else None
    verifier = process.verifier() if scheme == "bearer" else None
    caller = verifier.recall(token) if verifier else None
    return (caller, caller.identity) if caller else None


def _checked(request: Request, scheme: str, token: str) -> Found:
    """Verifies a credential that is not cached, unless its address has sent too many bad ones."""
    rate_limiter = process.rate_limiter()
    is_known = _is_own_key(scheme, token) and process.api_keys().is_remembered(token)
    if not is_known and (rejected := rate_limiter.blocked(request.META)):
        raise rejection(rejected)
    try:
        return _verified(scheme, token)
    except (KeysUnavailableError, DatabaseError):
        request.META[DECISION] = None  # a failure of the server is not charged
        raise Problem(
            503, "keys-unavailable", "Tokens cannot be verified at the moment. Try again.", headers={"Retry-After": "5"}
        ) from None
    except BadTokenError as bad:
        BAD_TOKENS.labels(bad.reason).inc()
        decision = rate_limiter.charge_bad_token(request.META)
        if not decision.outcome.allowed:
            raise rejection(decision) from None
        challenge = f'{_CHALLENGE}, error="invalid_token", error_description="{bad}"'
        raise Problem(401, "invalid-token", str(bad), headers={"WWW-Authenticate": challenge}) from None


def _verified(scheme: str, token: str) -> Found:
    """Raises BadTokenError, KeysUnavailableError, DatabaseError."""
    if _is_own_key(scheme, token):
        key = process.api_keys().check(token)
        return key.user, key
    if scheme != "bearer":
        raise BadTokenError("scheme", "Use the scheme Bearer or Token.")
    verifier = process.verifier()
    if verifier is None:
        raise not_accepted(opaque_kind(token) or TokenKind.SESSION)
    caller: ClerkUser = verifier.check(token)
    return caller, caller.identity


def _require_scope(request: Request, caller: Any, scopes: frozenset[str] | None) -> None:
    """Raises Problem, and charges the request, for a route outside ``scopes`` (None allows every route)."""
    if scopes is None:
        return
    needed = ThrottlingConf.load().scopes.needed(request.method or "GET", request.path_info)
    if not needed.isdisjoint(scopes | {EVERY_TOKEN}):
        return
    decision = process.rate_limiter().charge(request.META, caller)
    if not decision.outcome.allowed:
        raise rejection(decision)
    required = " or ".join(sorted(needed)) or "a token without scopes"
    challenge = f'{_CHALLENGE}, error="insufficient_scope", scope="{" ".join(sorted(needed))}"'
    raise Problem(
        403,
        "insufficient-scope",
        f"The token's scopes do not include this route. Required: {required}.",
        headers={"WWW-Authenticate": challenge},
    )
