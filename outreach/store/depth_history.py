"""How deep the queue was, minute by minute, for the chart of a day."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import orjson
from django_redis import get_redis_connection

from outreach import keys

MINUTES = 1440


@dataclass(frozen=True, slots=True)
class DepthSample:
    """Unfinished touches in one minute (Unix minutes): all of them, and those of the deepest inboxes by id."""

    minute: int
    total: int
    inboxes: Mapping[int, int]


class DepthHistory:
    """Every worker records; of several samples of one minute the first is shown."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS))

    def record(self, sample: DepthSample) -> None:
        member = orjson.dumps([sample.minute, sample.total, list(sample.inboxes.items())])
        pipeline = self._client.pipeline(transaction=False)
        pipeline.zadd(keys.DEPTHS, {member: sample.minute})
        pipeline.zremrangebyscore(keys.DEPTHS, "-inf", sample.minute - MINUTES)
        pipeline.execute()

    def samples(self) -> list[DepthSample]:
        """The last day, oldest first."""
        by_minute: dict[int, DepthSample] = {}
        for member in self._client.zrange(keys.DEPTHS, 0, -1):
            minute, total, inboxes = orjson.loads(member)
            by_minute.setdefault(minute, DepthSample(minute, total, dict(inboxes)))
        return list(by_minute.values())
