"""One key under ``argus:regime:`` as it is held, whatever its name and type."""

from typing import Any, Self

from django_redis import get_redis_connection

from regime import keys
from regime.rules.state_check import MOST_FIELDS, HeldKey


class KeyReader:
    """Reads keys for a check. ``client`` is the Redis or RedisCluster of the role ``regime``."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS))

    def read(self, name: bytes) -> HeldKey:
        """The key of that name after the prefix; four commands at most."""
        key = keys.STATE_PATTERN[:-1].encode() + name
        kind = self._client.type(key).decode()
        if kind != "hash":
            return HeldKey(name, kind, 0, {}, None)
        expiry_ms, count = self._client.pexpiretime(key), self._client.hlen(key)
        fields = self._client.hgetall(key) if count <= MOST_FIELDS else {}
        return HeldKey(name, kind, count, fields, expiry_ms / 1000 if expiry_ms >= 0 else None)
