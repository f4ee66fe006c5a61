"""Samples of the state keys: how many there are, how many lack an expiry, and one key as it is held."""

from dataclasses import dataclass
from typing import Any, Self

from django_redis import get_redis_connection
from redis import Redis

from regime import keys
from regime.domain.state_check import MAX_FIELDS, HeldKey
from regime.store.state_cache import Shards

_PREFIX = keys.STATE_PATTERN[:-1].encode()
_MAX_DRAWS = 10  # to see each of 200 keys, all but once in a hundred times
_NO_EXPIRY, _NO_KEY = -1, -2  # for PTTL


@dataclass(frozen=True, slots=True)
class Sample:
    """What was found among all keys, or among some at random. The estimates are for all keys of all servers, and counts
    where the sample is exact."""

    states: int
    without_ttl: int
    states_estimated: int
    without_ttl_estimated: int
    is_exact: bool


class KeySample:
    """Takes samples. ``client`` is the Redis or RedisCluster of the role ``regime``."""

    def __init__(self, client: Any) -> None:
        self._shards = Shards(client)

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS))

    def take(self, size: int) -> Sample:
        """Looks at ``size`` random keys of every server, and where it has no more than that, draws on until all of them
        are seen. A page may ask, so there is no SCAN."""
        samples = [_sample_of(server, size) for server in self._shards.all()]
        return Sample(
            states=sum(sample.states for sample in samples),
            without_ttl=sum(sample.without_ttl for sample in samples),
            states_estimated=sum(sample.states_estimated for sample in samples),
            without_ttl_estimated=sum(sample.without_ttl_estimated for sample in samples),
            is_exact=all(sample.is_exact for sample in samples),
        )


def _sample_of(server: "Redis", size: int) -> Sample:
    all_keys, drawn = _drawn(server, size)
    seen = set(drawn)
    for _ in range(_MAX_DRAWS - 1):
        if all_keys > size or len(seen) >= all_keys:
            break
        all_keys, more = _drawn(server, size)
        seen.update(more)
    is_exact = not drawn or len(seen) >= all_keys  # none drawn: all had expired
    states = [name for name in (sorted(seen) if is_exact else drawn) if name.startswith(_PREFIX)]
    lives = [life for life in _lives(server, states) if life != _NO_KEY]
    share = 1.0 if is_exact else all_keys / len(drawn)
    without_ttl = lives.count(_NO_EXPIRY)
    return Sample(len(lives), without_ttl, round(share * len(lives)), round(share * without_ttl), is_exact)


def _drawn(server: "Redis", size: int) -> tuple[int, list[bytes]]:
    """How many keys there are, and random ones of them, some more than once."""
    pipeline = server.pipeline(transaction=False)
    pipeline.dbsize()
    for _ in range(size):
        pipeline.randomkey()
    all_keys, *found = pipeline.execute()
    return all_keys, [name for name in found if name]


def _lives(server: "Redis", names: list[bytes]) -> list[int]:
    pipeline = server.pipeline(transaction=False)
    for name in names:
        pipeline.pttl(name)
    lives: list[int] = pipeline.execute() if names else []
    return lives


class KeyReader:
    """Reads keys for a check. ``client`` is the Redis or RedisCluster of the role ``regime``."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS))

    def read(self, name: bytes) -> HeldKey:
        """The key of that name after the prefix; four commands at most."""
        key = _PREFIX + name
        kind = self._client.type(key).decode()
        if kind != "hash":
            return HeldKey(name, kind, 0, {}, None)
        expiry_ms, count = self._client.pexpiretime(key), self._client.hlen(key)
        fields = self._client.hgetall(key) if count <= MAX_FIELDS else {}
        return HeldKey(name, kind, count, fields, expiry_ms / 1000 if expiry_ms >= 0 else None)
