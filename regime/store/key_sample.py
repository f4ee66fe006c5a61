"""A look at random keys: how many states there are and how many lack an expiry, without walking over all."""

from dataclasses import dataclass
from typing import Any, Self

from django_redis import get_redis_connection
from redis import Redis

from regime import keys
from regime.store.shards import Shards

_PREFIX = keys.STATE_PATTERN[:-1].encode()


@dataclass(frozen=True, slots=True)
class Sample:
    """What ``looked_at`` random keys of ``all_keys`` were. Estimates are for all servers together."""

    all_keys: int
    looked_at: int
    states: int
    without_ttl: int

    @property
    def states_estimated(self) -> int:
        return round(self.all_keys * self.states / self.looked_at) if self.looked_at else 0

    @property
    def without_ttl_estimated(self) -> int:
        return round(self.all_keys * self.without_ttl / self.looked_at) if self.looked_at else 0


class KeySample:
    """Takes samples. ``client`` is the Redis or RedisCluster of the role ``regime``."""

    def __init__(self, client: Any) -> None:
        self._shards = Shards(client)

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS))

    def take(self, size: int) -> Sample:
        """Looks at ``size`` random keys of every server, in two round trips each."""
        samples = [_sample_of(server, size) for server in self._shards.all()]
        return Sample(
            all_keys=sum(sample.all_keys for sample in samples),
            looked_at=sum(sample.looked_at for sample in samples),
            states=sum(sample.states for sample in samples),
            without_ttl=sum(sample.without_ttl for sample in samples),
        )


def _sample_of(server: "Redis", size: int) -> Sample:
    pipeline = server.pipeline(transaction=False)
    pipeline.dbsize()
    for _ in range(size):
        pipeline.randomkey()
    all_keys, *found = pipeline.execute()
    names = [name for name in found if name]
    states = [name for name in names if name.startswith(_PREFIX)]
    for name in states:
        pipeline.pttl(name)
    lives = pipeline.execute() if states else []
    return Sample(all_keys, len(names), len(states), sum(life == -1 for life in lives))
