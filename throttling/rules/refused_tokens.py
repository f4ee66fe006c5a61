"""The negative list: tokens that can never become good, refused again without any cryptography."""

import hashlib

from throttling.rules.clerk_token import BadTokenError

_FINAL = ("expired", "issuer", "authorized-party", "pending", "kind", "lifetime")  # what a right signature vouches for
_MAX_TOKENS = 10_000


class RefusedTokens:
    """Digests of refused tokens. Those that a newer key or a later moment could make good are not kept."""

    def __init__(self) -> None:
        self._refused: dict[bytes, tuple[str, str]] = {}

    def check(self, token: str) -> None:
        """Raises BadTokenError for a token on the list."""
        kept = self._refused.get(digest(token))
        if kept is not None:
            raise BadTokenError(*kept)

    def keep(self, token: str, bad: BadTokenError) -> None:
        if bad.reason not in _FINAL:
            return
        if len(self._refused) >= _MAX_TOKENS:
            self._refused.clear()
        self._refused[digest(token)] = (bad.reason, str(bad))


def digest(token: str) -> bytes:
    """What a token is remembered by: of one size, whatever callers send, and no secret."""
    return hashlib.blake2b(token.encode("utf-8", "surrogateescape"), digest_size=16).digest()
