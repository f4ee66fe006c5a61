"""Keeps the figures of roles for the charts; runs beside the loops of the workers, or by itself."""

import logging
import random
from collections.abc import Callable, Iterable
from typing import Self

from avo_project.observability.sources import SampleSource, sample_sources
from avo_project.observability.timeseries import COARSE, FINE, History
from avo_project.runtime.stop_flag import StopFlag

logger = logging.getLogger(__name__)

_LATE_SECONDS = (0.05, 4.0)


class Sampler:
    """Any number may run: the first one of a step wins it, and the others notice before they read anything."""

    def __init__(self, sources: Iterable[SampleSource], late_seconds: float | None = None) -> None:
        """``late_seconds`` is when in a step it looks; by default each sampler at a moment of its own, so that they do
        not all find the step open."""
        self._sources = list(sources)
        self._late_seconds = random.uniform(*_LATE_SECONDS) if late_seconds is None else late_seconds  # noqa: S311
        self._due = float("-inf")
        self._gathered_at: dict[str, int] = {}
        self._failing: set[str] = set()

    @classmethod
    def of(cls, *roles: str) -> Self:
        """Of the named roles, of all when none is named. Raises KeyError."""
        return cls(sample_sources(roles))

    def step(self, now: float) -> int:
        """Samples what is due by ``now`` (seconds of any clock); returns how many roles it won a step of.

        A comparison while nothing is due, so a loop may call it at every turn, and never the end of that loop: whatever
        a sample fails by is logged once and tried again at the next step.
        """
        if now < self._due:
            return 0
        self._due = now + FINE.step_seconds
        return sum(self._try_sample(source, now) for source in self._sources)

    def run(self, stop: StopFlag, clock: Callable[[], float]) -> None:
        """Samples until ``stop``; ``clock`` gives seconds."""
        while not stop:
            self.step(clock())
            stop.wait(max(0.0, self._due - clock()))

    def _try_sample(self, source: SampleSource, now: float) -> bool:
        try:
            won = self._sample(source, now)
        except Exception as failure:  # noqa: BLE001 - a chart's figure is not worth the work of the loop beside it
            if source.role not in self._failing:
                logger.warning("no figures of %s for now: %s: %s", source.role, type(failure).__name__, failure)
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
        if self._gathered_at.get(source.role) != COARSE.step_of(moment):
            history.gather(moment)
            self._gathered_at[source.role] = COARSE.step_of(moment)
        return won
