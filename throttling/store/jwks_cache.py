"""Cache of the last valid key set in Redis, shared by all processes."""

import hashlib
import logging
from typing import Any, Self

from django_redis import get_redis_connection

from throttling import keys
from throttling.domain.key_set import KeySet, KeySetError, load_key_set

logger = logging.getLogger(__name__)

_KEPT_SECONDS = 7 * 24 * 3600


class JWKSCache:
    """The stored key set of one JWKS address, and the lease to fetch it. Every method may raise RedisError."""

    def __init__(self, client: Any, jwks_url: str) -> None:
        self._client = client
        source = hashlib.sha256(jwks_url.encode()).hexdigest()[:16]
        self._key, self._lease = keys.jwks(source), keys.jwks_lease(source)

    @classmethod
    def connect(cls, jwks_url: str) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS), jwks_url)

    def get(self) -> KeySet | None:
        """The key set that was fetched last, or None."""
        stored = self._client.get(self._key)
        if stored is None:
            return None
        try:
            return load_key_set(stored.decode())
        except (KeySetError, UnicodeDecodeError) as error:
            logger.warning("invalid key set in the cache, fetching it again: %s", error)
            return None

    def put(self, key_set: KeySet) -> None:
        self._client.set(self._key, key_set.dump(), ex=_KEPT_SECONDS)

    def take_lease(self, seconds: float) -> bool:
        """Acquires the lease to fetch for ``seconds``. Returns False while another process has it."""
        return bool(self._client.set(self._lease, 1, nx=True, px=int(seconds * 1000)))

    def drop_lease(self) -> None:
        """Releases the lease, so that the next fetch need not wait."""
        self._client.delete(self._lease)

    def shorten_lease(self, seconds: float) -> None:
        """Shortens the lease to ``seconds`` after a failed fetch."""
        self._client.pexpire(self._lease, int(seconds * 1000))
