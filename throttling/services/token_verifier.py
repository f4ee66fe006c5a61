"""Verification of Clerk tokens, cached until they expire."""

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from prometheus_client import Counter

from avo_project.lib.bounded_dict import BoundedDict
from throttling.conf import ClerkConf
from throttling.domain import clerk_token
from throttling.domain.clerk_token import BadSignatureError, BadTokenError, Identity, UnknownKeyError
from throttling.domain.token_kinds import jwt_kind
from throttling.services.callers import ClerkUser
from throttling.services.jwks import Keys

logger = logging.getLogger(__name__)
Claims = dict[str, Any]

MAX_REMEMBERED = 10_000
_MAX_REJECTED = 10_000
_FINAL = frozenset(("expired", "issuer", "authorized-party", "pending", "kind", "lifetime"))
"""Reasons that no newer key and no later time can change."""
IMPERSONATIONS = Counter("avo_throttle_impersonated_tokens", "Accepted tokens of impersonators")


@dataclass(frozen=True, slots=True)
class _Remembered:
    caller: ClerkUser
    kid: str
    key: RSAPublicKey


class RejectedTokens:
    """Caches digests of tokens that are rejected for good. Tokens that may become valid are not cached."""

    def __init__(self) -> None:
        self._rejected: BoundedDict[bytes, tuple[str, str]] = BoundedDict(_MAX_REJECTED)

    def check(self, token: str) -> None:
        """Raises BadTokenError for a cached token."""
        kept = self._rejected.get(digest(token))
        if kept is not None:
            raise BadTokenError(*kept)

    def keep(self, token: str, bad: BadTokenError) -> None:
        if bad.reason not in _FINAL:
            return
        self._rejected[digest(token)] = (bad.reason, str(bad))


def digest(token: str) -> bytes:
    """The cache key of a token: of fixed size, and not secret."""
    return hashlib.blake2b(token.encode("utf-8", "surrogateescape"), digest_size=16).digest()


class TokenVerifier:
    """Verifies each token once per process; a repeated token costs two dictionary look-ups.

    A cached token is verified again when the key with its id has changed.
    """

    def __init__(
        self,
        clerk: ClerkConf,
        keys: Keys,
        admit: Callable[[Identity], ClerkUser],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clerk, self._keys, self._admit, self._clock = clerk, keys, admit, clock
        self._remembered: BoundedDict[bytes, _Remembered] = BoundedDict(MAX_REMEMBERED)
        self._rejected = RejectedTokens()

    def recall(self, token: str) -> ClerkUser | None:
        """The caller of a cached token that has not expired."""
        kept = self._remembered.get(digest(token))
        if kept is None or self._clock() >= kept.caller.identity.valid_until:
            return None
        if self._keys.find(kept.kid) is not kept.key:
            return None
        self._keys.mark_verified()
        return kept.caller

    def check(self, token: str) -> ClerkUser:
        """Verifies ``token`` and returns its caller. Raises BadTokenError, KeysUnavailableError."""
        header = clerk_token.read_header(token)
        self._rejected.check(token)
        claims, key = self._claims(token, header)
        identity = self._identity(token, header, claims)
        if identity.impersonator:
            IMPERSONATIONS.inc()
            logger.info("%s acts for %s in session %s", identity.impersonator, identity.user_id, identity.session_id)
        caller = self._admit(identity)
        self._remembered[digest(token)] = _Remembered(caller, _kid(header), key)
        return caller

    def _identity(self, token: str, header: Claims, claims: Claims) -> Identity:
        clerk = self._clerk
        try:
            kind = jwt_kind(header, claims)
            if kind not in clerk.accepted:
                raise clerk_token.not_accepted(kind)
            return clerk_token.identity_of(header, claims, clerk.issuer, clerk.authorized_parties, self._clock())
        except BadTokenError as bad:
            self._rejected.keep(token, bad)
            raise

    def _claims(self, token: str, header: Claims) -> tuple[Claims, RSAPublicKey]:
        """The claims and the key that signed them.

        A bad signature or an unknown key causes one refresh of the keys, if every other check passes.
        """
        kid = _kid(header)
        before = self._keys.known(kid)
        key = self._keys.find(kid)
        try:
            return self._verified(token, key, before)
        except (BadSignatureError, UnknownKeyError):
            self._identity(token, header, clerk_token.unverified_claims(token))
            if not self._keys.refresh():
                raise
        return self._verified(token, self._keys.find(kid), before)

    def _verified(
        self, token: str, key: RSAPublicKey | None, before: RSAPublicKey | None
    ) -> tuple[Claims, RSAPublicKey]:
        if key is None:
            raise UnknownKeyError("unknown-key", "The token is signed with a key that its issuer does not publish.")
        claims = clerk_token.verified_claims(token, key)
        self._keys.mark_verified(is_new=key is not before)
        return claims, key


def _kid(header: Claims) -> str:
    """The id of the key that the token names."""
    return str(header.get("kid", ""))
