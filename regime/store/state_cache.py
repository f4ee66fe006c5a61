"""The states in Redis: written with their expiry in one step, read in one round trip."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self

from django_redis import get_redis_connection
from redis import Redis
from redis.exceptions import ResponseError

from avo_project.redis_client.persistent_connection import execute_packed, pack
from regime import keys
from regime.conf import RegimeConf, regime_conf
from regime.domain.state import RegimeState, StoredState, decode_state
from regime.store.state_writer import Put, Shards, StateWriter


class StateCache:
    """Puts and gets states. ``client`` is the Redis or RedisCluster of the role ``regime``."""

    def __init__(self, client: Any, conf: RegimeConf) -> None:
        self._client = client
        self._shards = Shards(client)
        self._writer = StateWriter(client, conf)

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS), regime_conf())

    def get(self, symbol: str) -> StoredState | None:
        """The state under ``symbol``, whatever its age, or None when its key is no hash or not there."""
        key = keys.state_key(symbol)
        return self._state(symbol, *execute_packed(self._shards.of(key), _question(key), 2))

    def get_many(self, symbols: Sequence[str]) -> list[StoredState | None]:
        """The state under each of ``symbols`` as in ``get``, in one round trip a server."""
        by_server: dict[Redis, list[int]] = {}
        for index, symbol in enumerate(symbols):
            by_server.setdefault(self._shards.of(keys.state_key(symbol)), []).append(index)
        found: list[StoredState | None] = [None] * len(symbols)
        for server, indexes in by_server.items():
            request = b"".join(_question(keys.state_key(symbols[index])) for index in indexes)
            replies = execute_packed(server, request, 2 * len(indexes))
            for index, expiry_ms, flat in zip(indexes, replies[0::2], replies[1::2], strict=True):
                found[index] = self._state(symbols[index], expiry_ms, flat)
        return found

    def _state(self, symbol: str, expiry_ms: Any, flat: Any) -> StoredState | None:
        if isinstance(flat, ResponseError):
            if str(flat).startswith("WRONGTYPE"):
                return None
            key = keys.state_key(symbol)  # MOVED, LOADING, NOAUTH: redis-py follows or raises
            expiry_ms, flat = self._client.pexpiretime(key), _flattened(self._client.hgetall(key))
        return decode_state(symbol, flat, expiry_ms / 1000 if expiry_ms >= 0 else None) if flat else None

    def put_many(self, states: Iterable[RegimeState], now: float | None = None) -> Iterator[Put]:
        """Writes ``states`` as they come, in constant memory, and yields the outcome of each soon after.

        ``now`` (Unix seconds) replaces the server's clock in tests. While the server writes some states the next are
        taken from ``states``.
        """
        return self._writer.put_many(states, now)


def _question(key: str) -> bytes:
    # The expiry first: a writer between the two commands makes the state look older, never younger.
    return pack(b"PEXPIRETIME", key) + pack(b"HGETALL", key)


def _flattened(fields: dict[bytes, bytes]) -> list[bytes]:
    return [part for pair in fields.items() for part in pair]
