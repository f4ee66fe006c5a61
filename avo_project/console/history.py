"""A role's figures over time in its Redis: any number of samplers, one sample a step, a bounded number of steps."""

from collections.abc import Mapping
from typing import Any, Self

from django_redis import get_redis_connection
from redis.exceptions import ResponseError

from avo_project import keys
from avo_project.console.samples import COARSE, FINE, Resolution, Sample, gathered


class History:
    """Of several samplers in one step the first wins, because a stream takes no entry with an id it has seen."""

    def __init__(self, client: Any, role: str) -> None:
        self._client = client
        self._role = role

    @classmethod
    def connect(cls, role: str, alias: str) -> Self:
        return cls(get_redis_connection(alias), role)

    def now(self) -> float:
        """The server's time in Unix seconds: samplers on hosts with other clocks must agree on the step."""
        seconds, microseconds = self._client.time()
        return int(seconds) + int(microseconds) / 1_000_000

    def is_due(self, now: float) -> bool:
        """Whether nobody has sampled the step of ``now`` yet."""
        newest = self.newest(1)
        return not newest or newest[-1].at < FINE.step_of(now)

    def record(self, values: Mapping[str, float], now: float) -> bool:
        """Keeps ``values`` as the sample of this step; False when another sampler was first."""
        return self._add(FINE, Sample(FINE.step_of(now), values))

    def gather(self, now: float) -> int:
        """Makes the coarse samples of all steps that have ended since the last one; returns how many."""
        newest = self._read(COARSE, "+", "-", 1)
        since = newest[0].at + COARSE.step_seconds if newest else 0
        ended = self.between(FINE, since, COARSE.step_of(now) - 1)
        return sum(self._add(COARSE, sample) for sample in gathered(ended, COARSE.step_seconds))

    def newest(self, count: int) -> list[Sample]:
        """At most ``count`` fine samples, oldest first."""
        return self._read(FINE, "+", "-", count)[::-1]

    def between(self, resolution: Resolution, first: int, last: int) -> list[Sample]:
        """The samples of the steps that start from ``first`` to ``last`` (Unix seconds), oldest first."""
        if last < first:
            return []
        return self._samples(self._client.xrange(self._key(resolution), first * 1000, f"{last * 1000}-2"))

    def _read(self, resolution: Resolution, last: str, first: str, count: int) -> list[Sample]:
        return self._samples(self._client.xrevrange(self._key(resolution), last, first, count))

    def _add(self, resolution: Resolution, sample: Sample) -> bool:
        fields = {name: repr(float(value)) for name, value in sample.values.items()}
        entry_id = f"{sample.at * 1000}-1"
        try:
            self._client.xadd(self._key(resolution), fields, entry_id, maxlen=resolution.kept, approximate=False)
        except ResponseError as error:
            if "equal or smaller" not in str(error):
                raise
            return False
        return True

    def _key(self, resolution: Resolution) -> str:
        return keys.history(self._role, resolution.step_seconds)

    @staticmethod
    def _samples(rows: Any) -> list[Sample]:
        return [
            Sample(
                int(entry_id.partition(b"-")[0]) // 1000,
                {name.decode(): float(value) for name, value in fields.items()},
            )
            for entry_id, fields in rows
        ]
