"""DRF's authentication by Clerk session tokens."""

import re
from typing import Any

from prometheus_client import Counter
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from avo_project.problem_details import Problem
from throttling import conf
from throttling.roles import process
from throttling.roles.answers import refusal
from throttling.roles.callers import ClerkUser
from throttling.roles.jwks import KeysUnavailableError
from throttling.roles.token_verifier import TokenVerifier
from throttling.roles.toll import RECEIPT
from throttling.rules.clerk_token import BadTokenError, Identity
from throttling.rules.scopes import EVERY_TOKEN

_CHALLENGE = 'Bearer realm="api"'
BAD_TOKENS = Counter("avo_throttle_bad_tokens", "Tokens refused", ["reason"])
_BEARER_ANYWHERE = re.compile(r"(^|,)\s*bearer", re.IGNORECASE)


def bearer_token(header: str) -> str | None:
    """The token in an Authorization field: ``1*SP`` follows the scheme, in any letter case (RFC 9110, section 11.4).

    None for another scheme; the empty string, which no token is, for a Bearer written in any other way.
    """
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() == "bearer":
        return token.lstrip(" ")
    return "" if _BEARER_ANYWHERE.search(header) else None


class ClerkAuthentication(BaseAuthentication):
    """A Bearer token makes a ClerkUser, or 401: a bad one never falls back to anonymous.

    Without Clerk in the settings, tokens are ignored and everybody is anonymous.
    """

    def authenticate(self, request: Request) -> tuple[ClerkUser, Identity] | None:
        verifier = process.verifier()
        if verifier is None:
            return None
        token = bearer_token(request.META.get("HTTP_AUTHORIZATION", ""))
        if token is None:
            return None
        caller = verifier.recall(token) or self._check(request, verifier, token)
        _require_scope(request, caller, caller.identity.scopes)
        return caller, caller.identity

    def authenticate_header(self, request: Request) -> str:
        return _CHALLENGE

    def _check(self, request: Request, verifier: TokenVerifier, token: str) -> ClerkUser:
        """A token not seen before. Its address is looked at first, since cryptography costs more than a look."""
        toll = process.toll()
        if refused := toll.barred(request.META):
            raise refusal(refused)
        try:
            return verifier.check(token)
        except KeysUnavailableError:
            request.META[RECEIPT] = None  # nobody pays for what is nobody's fault
            raise Problem(
                503, "keys-unavailable", "Tokens cannot be checked now. Try again.", headers={"Retry-After": "5"}
            ) from None
        except BadTokenError as bad:
            BAD_TOKENS.labels(bad.reason).inc()
            receipt = toll.charge_bad_token(request.META)
            if not receipt.outcome.allowed:
                raise refusal(receipt) from None
            challenge = f'{_CHALLENGE}, error="invalid_token", error_description="{bad}"'
            raise Problem(401, "invalid-token", str(bad), headers={"WWW-Authenticate": challenge}) from None


def _require_scope(request: Request, caller: Any, scopes: frozenset[str] | None) -> None:
    """Raises Problem for a route that ``scopes`` do not open (None: they open all); the caller pays for asking."""
    if scopes is None:
        return
    needed = conf.load().scopes.needed(request.method or "GET", request.path_info)
    if not needed.isdisjoint(scopes | {EVERY_TOKEN}):
        return
    receipt = process.toll().charge(request.META, caller, 1)
    if not receipt.outcome.allowed:
        raise refusal(receipt)
    names = " or ".join(sorted(needed)) or "none"
    challenge = f'{_CHALLENGE}, error="insufficient_scope", scope="{" ".join(sorted(needed))}"'
    raise Problem(
        403,
        "insufficient-scope",
        f"The token's scopes do not open this route. What does: {names}.",
        headers={"WWW-Authenticate": challenge},
    )
