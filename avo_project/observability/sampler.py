"""The sampler: records the figures of roles for the charts, inside the loops of the workers or on its own."""

import logging
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from avo_project.observability.timeseries import COARSE, FINE, History
from avo_project.runtime.role_config import declared
from avo_project.runtime.stop_flag import StopFlag

logger = logging.getLogger(__name__)

_LATE_SECONDS = (0.05, 4.0)


@dataclass(frozen=True, slots=True)
class SampleSource:
    """The figures of ``role`` that are kept over time, in the Redis of ``alias``. ``sample`` may raise RedisError or
    DatabaseError."""

    role: str
    alias: str
    sample: Callable[[], Mapping[str, float]]


class Sampler:
    """Samples each source once per step. Any number may run: the first one wins a step, the others read nothing."""

    def __init__(self, sources: Iterable[SampleSource], late_seconds: float | None = None) -> None:
        """``late_seconds`` is the offset within a step; random by default, to spread the samplers."""
        self._sources = list(sources)
        self._late_seconds = random.uniform(*_LATE_SECONDS) if late_seconds is None else late_seconds  # noqa: S311
        self._due = float("-inf")
        self._downsampled_at: dict[str, int] = {}
        self._failing: set[str] = set()

    @classmethod
    def of(cls, *roles: str) -> Self:
        """A sampler of ``roles``, of all when none is named. Raises KeyError for an unknown role."""
        return cls(declared("samples", roles).values())

    def step(self, now: float) -> int:
        """Samples what is due at ``now`` (seconds of any clock); returns the number of recorded samples.

        Costs one comparison while nothing is due, and never raises, so a loop may call it in every iteration: a failure
        is logged once and retried in the next step.
        """
        if now < self._due:
            return 0
        self._due = now + FINE.step_seconds
        return sum(self._try_sample(source, now) for source in self._sources)

    def run(self, stop: StopFlag, clock: Callable[[], float]) -> None:
        """Samples until ``stop``; ``clock`` returns seconds."""
        while not stop:
            self.step(clock())
            stop.wait(max(0.0, self._due - clock()))

    def _try_sample(self, source: SampleSource, now: float) -> bool:
        try:
            won = self._sample(source, now)
        except Exception as failure:  # noqa: BLE001 - a failed sample must not end the worker's loop
            if source.role not in self._failing:
                logger.warning("sampling %s failed: %s: %s", source.role, type(failure).__name__, failure)
            self._failing.add(source.role)
            return False
        self._failing.discard(source.role)
        return won

    def _sample(self, source: SampleSource, now: float) -> bool:
        history = History.connect(source.role, source.alias)
        moment = history.now()
        ends_in_seconds = FINE.step_of(moment) + FINE.step_seconds - moment
        self._due = min(self._due, now + ends_in_seconds + self._late_seconds)
        if not history.is_due(moment):
            return False
        won = history.record(source.sample(), moment)
        if self._downsampled_at.get(source.role) != COARSE.step_of(moment):
            history.downsample(moment)
            self._downsampled_at[source.role] = COARSE.step_of(moment)
        return won
