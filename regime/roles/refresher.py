"""Keeps the collection up with foreign writers, who publish none."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from redis.exceptions import RedisError

from avo_project.stop_flag import StopFlag
from regime.conf import RegimeConf, regime_conf
from regime.roles.backfill_job import resume_backfill
from regime.roles.collection_build import Census, CollectionBuild
from regime.rules.columns import old_data, same_states
from regime.rules.data_through import OLD_DAYS
from regime.rules.freshness import Freshness
from regime.store.collection_store import CollectionStore, Pointer

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RefreshReport:
    """``published`` is False when a cycle or another build was swapped in meanwhile, which is newer. Times in s."""

    symbols: int
    census: Census
    published: bool
    seconds: float

    def summary(self) -> str:
        found = " ".join(f"{one.value.replace(' ', '_')}={self.census.freshness[one]}" for one in Freshness)
        published = "yes" if self.published else "no, a newer one was"
        return f"{found} published={published} misnamed={self.census.misnamed} seconds={self.seconds:.2f}"


class Refresher:
    """Rebuilds the collection. ``clock`` gives Unix seconds."""

    def __init__(
        self, store: CollectionStore, build: CollectionBuild, conf: RegimeConf, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._build = build
        self._conf = conf
        self._clock = clock
        self._old_data_warned = 0

    @classmethod
    def connect(cls, clock: Callable[[], float]) -> Self:
        return cls(CollectionStore.connect(), CollectionBuild.connect(), regime_conf(), clock)

    def step(self) -> RefreshReport:
        """One rebuild. When nothing changed the version stays, and with it what web processes made of it."""
        started = self._clock()
        made_from = self._store.pointer()
        self._watch(made_from, started)
        columns, census = self._build.build(started)
        held = self._store.load(made_from.collection, in_steps=True) if made_from.collection else None
        if held is not None and same_states(held.columns, columns):
            swapped = self._store.confirm(columns, made_from, started, **census.told())
        else:
            swapped = self._store.publish(columns, made_from, started, **census.told())
        self._watch_data(old_data(columns, started), len(columns))
        return RefreshReport(len(columns), census, swapped is not None, self._clock() - started)

    def run(self, stop: StopFlag, interval_seconds: float, on_step: Callable[[RefreshReport], None]) -> None:
        """Rebuilds every ``interval_seconds`` until ``stop``, and resumes a backfill whose process died. Waits for a
        Redis that is away or refuses."""
        while not stop:
            started = self._clock()
            try:
                resume_backfill()
                on_step(self.step())
            except RedisError as failure:
                logger.warning("collection not refreshed: %s", failure)
            stop.wait(max(0.0, started + interval_seconds - self._clock()))

    def _watch(self, pointer: Pointer, now: float) -> None:
        silent_seconds = now - pointer.cycle_ended_at
        if pointer.cycle and silent_seconds > self._conf.cycle_overdue_seconds:
            logger.warning("no cycle of our writers for %.1f h: states die 24 h after theirs", silent_seconds / 3600)

    def _watch_data(self, old: int, symbols: int) -> None:
        if old and old != self._old_data_warned:  # said again when it changes, not at each step
            logger.warning("the data of %d of %d states ended more than %d days ago", old, symbols, OLD_DAYS)
        self._old_data_warned = old
