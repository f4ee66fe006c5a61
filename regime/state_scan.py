"""The whole universe read in one pass of SCAN. Never part of a request."""

from collections.abc import Iterator
from typing import Any, Self

from django_redis import get_redis_connection
from redis import Redis
from redis.exceptions import ResponseError

from regime import keys
from regime.bulk_decode import RawState
from regime.shards import Shards
from regime.wire import Reply, Window, pack

_KEYS_A_STEP = 500


class StateScan:
    """Walks over all state keys of all servers. ``client`` is the Redis or RedisCluster of the role ``regime``."""

    def __init__(self, client: Any) -> None:
        self._shards = Shards(client)

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS))

    def batches(self) -> Iterator[list[RawState]]:
        """All states, raw, some hundred at a time; a state may come twice. Keys of another type are left out."""
        for server in self._shards.all():
            yield from self._batches_of(server)

    def _batches_of(self, server: "Redis") -> Iterator[list[RawState]]:
        # While the server reads one batch the caller works on the one before: the next SCAN always goes ahead.
        with Window(server) as window:
            window.post(_scan(b"0"), 1)
            names: list[bytes] | None = None
            cursor = b""
            while cursor != b"0":
                cursor, found = _scanned(window.receive()[0])
                if cursor != b"0":
                    window.post(_scan(cursor), 1)
                window.post(b"".join(pack(b"HGETALL", name) for name in found), len(found))
                if names is not None:
                    yield _raw(names, window.receive())
                names = found
            yield _raw(names or [], window.receive())


def _scan(cursor: bytes) -> bytes:
    return pack(b"SCAN", cursor, b"MATCH", keys.STATE_PATTERN, b"COUNT", _KEYS_A_STEP)


def _scanned(reply: Reply) -> tuple[bytes, list[bytes]]:
    if isinstance(reply, ResponseError):
        raise reply
    cursor, found = reply
    return cursor, found


def _raw(names: list[bytes], replies: list[Reply]) -> list[RawState]:
    return [
        (keys.symbol_of(name), flat)
        for name, flat in zip(names, replies, strict=True)
        if flat and not isinstance(flat, ResponseError)
    ]
