"""The whole universe read in one pass of SCAN. Never part of a request."""

from collections.abc import Iterator
from typing import Any, Self

from django_redis import get_redis_connection
from redis import Redis
from redis.exceptions import ResponseError

from avo_project.redis_client.persistent_connection import Pipeline, Reply, pack
from regime import keys
from regime.domain.state import RawStates
from regime.store.state_writer import Shards

_KEYS_A_STEP = 40  # docs/decisions/regime.md: fewer take longer, more let readers wait
_NOTHING = RawStates([], [])


class StateScan:
    """Walks over all state keys of all servers. ``client`` is the Redis or RedisCluster of the role ``regime``."""

    def __init__(self, client: Any) -> None:
        self._shards = Shards(client)

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS))

    def batches(self) -> Iterator[RawStates]:
        """All states, raw, some hundred at a time; a state may come twice. Keys of another type are left out."""
        for server in self._shards.all():
            yield from self._batches_of(server)

    def _batches_of(self, server: "Redis") -> Iterator[RawStates]:
        # While the caller works on one batch the server reads the next two: a batch is received before the one ahead
        # of it is handed out, and the next SCAN goes before the questions about the names that the last one found.
        with Pipeline(server) as window:
            window.post(_scan(b"0"), 1)
            cursor, received = b"", _NOTHING
            names: list[bytes] | None = None
            while cursor != b"0":
                cursor, found = _scanned(window.receive()[0])
                if cursor != b"0":
                    window.post(_scan(cursor), 1)
                window.post(_questions(found), len(found))
                yield received
                received, names = _NOTHING if names is None else _raw(names, window.receive()), found
            yield received
            yield _raw(names or [], window.receive())


def _scan(cursor: bytes) -> bytes:
    return pack(b"SCAN", cursor, b"MATCH", keys.STATE_PATTERN, b"COUNT", _KEYS_A_STEP)


def _scanned(reply: Reply) -> tuple[bytes, list[bytes]]:
    if isinstance(reply, ResponseError):
        raise reply
    cursor, found = reply
    return cursor, found


def _questions(names: list[bytes]) -> bytes:
    return b"".join([b"*2\r\n$7\r\nHGETALL\r\n$%d\r\n%b\r\n" % (len(name), name) for name in names])


def _raw(names: list[bytes], replies: list[Reply]) -> RawStates:
    raw = RawStates([keys.symbol_of(name) for name in names], replies)
    if all(type(reply) is list and reply for reply in replies):
        return raw
    return raw.only([isinstance(reply, list) and bool(reply) for reply in replies])
