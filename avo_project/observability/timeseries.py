"""Time series of a role's figures: downsampling and rates, and their storage in Redis."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

from django_redis import get_redis_connection
from redis.exceptions import ResponseError

from avo_project import keys

TOTAL = "_total"
"""Part of the name of a counter, which is shown as its rate."""

_LARGEST_GAP_STEPS = 6


@dataclass(frozen=True, slots=True)
class Sample:
    """The figures of one step; ``at`` is its start in Unix seconds."""

    at: int
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Resolution:
    """The length of a step and the number of steps that are kept."""

    step_seconds: int
    kept: int

    def step_of(self, moment: float) -> int:
        return int(moment) // self.step_seconds * self.step_seconds


FINE = Resolution(10, 24 * 360)
COARSE = Resolution(600, 30 * 144)


def downsampled(samples: Iterable[Sample], step_seconds: int) -> list[Sample]:
    """The samples in wider steps: means of gauges, last values of counters."""
    steps: dict[int, list[Sample]] = {}
    for sample in samples:
        steps.setdefault(sample.at // step_seconds * step_seconds, []).append(sample)
    return [Sample(at, _aggregated(held)) for at, held in steps.items()]


def _aggregated(samples: Sequence[Sample]) -> dict[str, float]:
    series: dict[str, list[float]] = {}
    for sample in samples:
        for name, value in sample.values.items():
            series.setdefault(name, []).append(value)
    return {name: held[-1] if TOTAL in name else sum(held) / len(held) for name, held in series.items()}


def line(samples: Sequence[Sample], name: str, times: Sequence[int]) -> list[float | None]:
    """The figure ``name`` at each of the evenly spaced ``times``; None without a sample. Of a counter its rate per
    second since the previous sample, None after a gap or a reset."""
    held = {sample.at: sample.values[name] for sample in samples if name in sample.values}
    if TOTAL in name:
        held = _rates(held, (times[1] - times[0] if len(times) > 1 else 1) * _LARGEST_GAP_STEPS)
    return [held.get(moment) for moment in times]


def _rates(totals: Mapping[int, float], largest_gap: int) -> dict[int, float]:
    moments = sorted(totals)
    return {
        later: (totals[later] - totals[earlier]) / (later - earlier)
        for earlier, later in pairwise(moments)
        if later - earlier <= largest_gap and totals[later] >= totals[earlier]
    }


class History:
    """The stored samples of one role. The first sampler of a step wins, because a stream refuses an id twice."""

    def __init__(self, client: Any, role: str) -> None:
        self._client = client
        self._role = role

    @classmethod
    def connect(cls, role: str, alias: str) -> Self:
        return cls(get_redis_connection(alias), role)

    def now(self) -> float:
        """The server's time in Unix seconds, so that samplers on all hosts agree on the step."""
        seconds, microseconds = self._client.time()
        return int(seconds) + int(microseconds) / 1_000_000

    def is_due(self, now: float) -> bool:
        """Whether the step of ``now`` has no sample yet."""
        newest = self.newest(1)
        return not newest or newest[-1].at < FINE.step_of(now)

    def record(self, values: Mapping[str, float], now: float) -> bool:
        """Stores ``values`` as the sample of this step; False when another sampler was first."""
        return self._add(FINE, Sample(FINE.step_of(now), values))

    def downsample(self, now: float) -> int:
        """Adds the coarse samples of all steps that have ended since the last one; returns their number."""
        newest = self._read(COARSE, "+", "-", 1)
        since = newest[0].at + COARSE.step_seconds if newest else 0
        ended = self.between(FINE, since, COARSE.step_of(now) - 1)
        return sum(self._add(COARSE, sample) for sample in downsampled(ended, COARSE.step_seconds))

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
