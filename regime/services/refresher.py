"""Rebuilds the collection from the states in Redis, for states that other programs wrote."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, compress
from typing import Self

import numpy as np
from numpy.typing import NDArray
from redis.exceptions import RedisError

from avo_project.redis_client.cluster import IncompleteScanError
from avo_project.runtime.stop_flag import StopFlag
from regime.conf import RegimeConf
from regime.domain.columns import Columns, are_current, merged, old_data, part_of, same_states, score_matrix
from regime.domain.freshness import OLD_DAYS, Freshness, freshness_at
from regime.domain.state import RawStates, are_symbols, decode_in_bulk
from regime.domain.state_check import misnamed_text
from regime.services.ttl_backfill import resume_backfill
from regime.store.collection_store import CollectionStore, Pointer
from regime.store.state_cache import StateCache, StateScan

logger = logging.getLogger(__name__)

_NAMED = 5
_BATCHES_A_PART = 16  # columns cost numpy 40 µs, however short

# symbols, stamps, (n, len(FIELDS)) scores and data_through
_Rows = tuple[list[bytes], NDArray[np.float64], NDArray[np.float64], list[bytes]]


@dataclass(slots=True)
class ScanCounts:
    """Results of a scan: states by freshness, invalid scores, and keys whose name is not an upper-case symbol, with a
    few of their names."""

    freshness: dict[Freshness, int] = field(default_factory=lambda: dict.fromkeys(Freshness, 0))
    bad_fields: int = 0
    misnamed: int = 0
    misnamed_names: list[bytes] = field(default_factory=list)

    def add_misnamed(self, names: Sequence[bytes]) -> None:
        self.misnamed += len(names)
        self.misnamed_names += names[: _NAMED - len(self.misnamed_names)]

    def pointer_fields(self) -> dict[str, int | str]:
        """The fields of the pointer about this scan."""
        words = misnamed_text(self.misnamed, self.misnamed_names)
        return {"misnamed": self.misnamed, "misnamed_words": words, "incomplete_walks": 0}


class CollectionBuild:
    """Reads all states and keeps the current ones as columns. Memory is bounded by about 200 bytes a state."""

    def __init__(self, scan: StateScan, states: StateCache) -> None:
        self._scan = scan
        self._states = states
        self._warned = 0

    @classmethod
    def connect(cls) -> Self:
        return cls(StateScan.connect(), StateCache.connect())

    def build(self, now: float, on_batch: Callable[[int], None] = lambda count: None) -> tuple[Columns, ScanCounts]:
        """The states that are current at ``now`` (Unix seconds). ``on_batch`` is called with the size of each batch."""
        parts: list[Columns] = []
        rows: list[_Rows] = []
        scan_counts = ScanCounts()
        for raw in self._scan.batches():
            rows += self._current(raw, now, scan_counts)
            if len(rows) >= _BATCHES_A_PART:
                parts.append(_part(rows))
                rows = []
            on_batch(len(raw))
        self._warn(scan_counts)
        return merged([*parts, _part(rows)]) if rows else merged(parts), scan_counts

    def _warn(self, scan_counts: ScanCounts) -> None:
        if scan_counts.misnamed and scan_counts.misnamed != self._warned:  # logged again only when it changes
            logger.warning("no route serves %s", misnamed_text(scan_counts.misnamed, scan_counts.misnamed_names))
        self._warned = scan_counts.misnamed

    def _current(self, raw: RawStates, now: float, scan_counts: ScanCounts) -> list[_Rows]:
        if not are_symbols(raw.symbols):
            are_named = [are_symbols([symbol]) for symbol in raw.symbols]
            scan_counts.add_misnamed(
                [name for name, is_named in zip(raw.symbols, are_named, strict=True) if not is_named]
            )
            raw = raw.only(are_named)
        decoded = decode_in_bulk(raw)
        irregular = [self._irregular(decoded.irregular, now, scan_counts)] if decoded.irregular else []
        current = are_current(decoded.stamps, now)
        scan_counts.freshness[Freshness.CURRENT] += int(current.sum())
        if current.all():
            return [(decoded.symbols, decoded.stamps, decoded.scores, decoded.through), *irregular]
        for stamp in decoded.stamps[~current].tolist():
            scan_counts.freshness[freshness_at(stamp, now)] += 1
        symbols, through = list(compress(decoded.symbols, current)), list(compress(decoded.through, current))
        return [(symbols, decoded.stamps[current], decoded.scores[current], through), *irregular]

    def _irregular(self, symbols: list[bytes], now: float, scan_counts: ScanCounts) -> _Rows:
        held = [state for state in self._states.get_many([symbol.decode() for symbol in symbols]) if state is not None]
        classified = [(state, state.classify(now)) for state in held]
        for state, classification in classified:
            scan_counts.freshness[classification.freshness] += 1
            scan_counts.bad_fields += state.bad_fields
        current = [(state, classification) for state, classification in classified if classification.is_current]
        stamps = np.array([classification.computed_at for _, classification in current], dtype=np.float64)
        scores = score_matrix([state.scores for state, _ in current])
        symbols, through = [state.symbol.encode() for state, _ in current], [state.data_through for state, _ in current]
        return symbols, stamps, scores, through


def _part(rows: Sequence[_Rows]) -> Columns:
    symbols, stamps, scores, through = zip(*rows, strict=True)
    named, dates = list(chain.from_iterable(symbols)), list(chain.from_iterable(through))
    return part_of(named, np.concatenate(stamps), np.concatenate(scores), dates)


@dataclass(frozen=True, slots=True)
class RefreshReport:
    """``published`` is False when a cycle or another build was swapped in meanwhile, which is newer. Times in s."""

    symbols: int
    scan_counts: ScanCounts
    published: bool
    seconds: float

    def summary(self) -> str:
        found = " ".join(f"{one.value.replace(' ', '_')}={self.scan_counts.freshness[one]}" for one in Freshness)
        published = "yes" if self.published else "no, a newer one was"
        return f"{found} published={published} misnamed={self.scan_counts.misnamed} seconds={self.seconds:.2f}"


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
        return cls(CollectionStore.connect(), CollectionBuild.connect(), RegimeConf.load(), clock)

    def step(self) -> RefreshReport:
        """Rebuilds the collection once. An unchanged one keeps its version, so web processes keep their copies.

        Raises IncompleteScanError when states may have been missed; nothing is published then.
        """
        started = self._clock()
        made_from = self._store.pointer()
        self._watch(made_from, started)
        try:
            columns, scan_counts = self._build.build(started)
        except IncompleteScanError:
            self._store.count_incomplete_scan()
            raise
        held = self._store.load(made_from.collection, in_steps=True) if made_from.collection else None
        if held is not None and same_states(held.columns, columns):
            swapped = self._store.confirm(columns, made_from, started, **scan_counts.pointer_fields())
        else:
            swapped = self._store.publish(columns, made_from, started, **scan_counts.pointer_fields())
        self._watch_data(old_data(columns, started), len(columns))
        return RefreshReport(len(columns), scan_counts, swapped is not None, self._clock() - started)

    def run(self, stop: StopFlag, interval_seconds: float, on_step: Callable[[RefreshReport], None]) -> None:
        """Rebuilds every ``interval_seconds`` until ``stop``, and resumes a backfill whose process was killed.
        Retries while Redis is unavailable."""
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
            logger.warning("no cycle has ended for %.1f h; states expire 24 h after their cycle", silent_seconds / 3600)

    def _watch_data(self, old: int, symbols: int) -> None:
        if old and old != self._old_data_warned:  # logged again only when it changes
            logger.warning("the data of %d of %d states ended more than %d days ago", old, symbols, OLD_DAYS)
        self._old_data_warned = old
