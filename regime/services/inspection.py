"""Read-only figures of the regime cache for the console and the metrics; no call reads many keys."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from avo_project.observability.timeseries import History
from regime import keys
from regime.conf import RegimeConf
from regime.domain.freshness import LIFE_SECONDS, Classification
from regime.domain.state import StoredState
from regime.domain.state_check import HeldKey, name_finding
from regime.store.collection_store import CollectionStore, Pointer
from regime.store.keyspace import KeyReader, KeySample, Sample
from regime.store.state_cache import StateCache
from regime.store.ttl_backfill import BackfillLog, BackfillRecord

ROLE = "regime"
_SAMPLES = 6


def recent_figures() -> Mapping[str, float]:
    """``states`` and ``without_ttl``, ``sampled_at`` in Unix seconds, and ``is_exact``: 1 for the counts of the newest
    sample, 0 for means of the newest ones, which are estimates from random keys. Empty when no sample was taken
    yet. One command."""
    held = History.connect(ROLE, keys.REDIS_ALIAS).newest(_SAMPLES)
    if not held:
        return {}
    is_exact = held[-1].values.get("is_exact", 0.0)
    recent = [one.values for one in held if one.at > held[-1].at - 60 and not is_exact] or [held[-1].values]
    means = {name: sum(one.get(name, 0.0) for one in recent) / len(recent) for name in ("states", "without_ttl")}
    return {**means, "is_exact": is_exact, "sampled_at": held[-1].at}


_SAMPLE_SIZE = 200
_HOUR_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class KeyspaceStatus:
    """Last results of our writers and refreshers. Ages in seconds, None where there is nothing yet."""

    pointer: Pointer
    collection_age_seconds: float | None
    cycle_age_seconds: float | None
    is_cycle_overdue: bool

    @property
    def has_old_data(self) -> bool:
        """Whether more than a hundredth of the collection has: a few symbols that are quoted no more are no cause."""
        return self.pointer.old_data * 100 > self.pointer.symbols


@dataclass(frozen=True, slots=True)
class Overview(KeyspaceStatus):
    """The same, and a sample of the keys."""

    sample: Sample


@dataclass(frozen=True, slots=True)
class StateLookup:
    """A stored state and its freshness."""

    state: StoredState
    classification: Classification


class RegimeInspection:
    """Reads and changes nothing. ``clock`` gives Unix seconds."""

    def __init__(
        self,
        store: CollectionStore,
        states: StateCache,
        sample: KeySample,
        log: BackfillLog,
        key_reader: KeyReader,
        conf: RegimeConf,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._states = states
        self._sample = sample
        self._log = log
        self._keys = key_reader
        self._conf = conf
        self._clock = clock

    @classmethod
    def connect(cls) -> Self:
        return cls(
            CollectionStore.connect(),
            StateCache.connect(),
            KeySample.connect(),
            BackfillLog.connect(),
            KeyReader.connect(),
            RegimeConf.load(),
        )

    def status(self) -> KeyspaceStatus:
        """One command."""
        pointer, now = self._store.pointer(), self._clock()
        cycle_age = now - pointer.cycle_ended_at if pointer.cycle else None
        return KeyspaceStatus(
            pointer=pointer,
            collection_age_seconds=now - pointer.built_at if pointer.collection else None,
            cycle_age_seconds=cycle_age,
            is_cycle_overdue=cycle_age is not None and cycle_age > self._conf.cycle_overdue_seconds,
        )

    def overview(self) -> Overview:
        """Some hundred to two thousand small commands in at most twelve round trips: for a sampler, not for a page that
        refreshes itself."""
        status = self.status()
        same = {name: getattr(status, name) for name in KeyspaceStatus.__slots__}
        return Overview(**same, sample=self._sample.take(_SAMPLE_SIZE))

    def ages_by_hour(self) -> list[int]:
        """How many current states of the collection are 0, 1, …, 23 hours old. Loads the collection."""
        version = self._store.valid().version
        held = self._store.load(version) if version else None
        if held is None:
            return [0] * (LIFE_SECONDS // _HOUR_SECONDS)
        ages = self._clock() - held.columns.stamps
        counts, _ = np.histogram(ages.clip(min=0.0), bins=np.arange(0, LIFE_SECONDS + 1, _HOUR_SECONDS))
        return [int(count) for count in counts]

    def misnamed(self, name: str) -> HeldKey | None:
        """The key of ``name`` after the prefix when there is one and no route serves it because of its name, or because
        it is no hash."""
        held = self._keys.read(name.encode(errors="surrogateescape"))
        is_served = held.kind == "hash" and name_finding(held.name) is None
        return None if held.kind == "none" or is_served else held

    def look_up(self, symbol: str) -> StateLookup | None:
        """The state of a symbol, None when there is none."""
        state = self._states.get(symbol)
        return None if state is None else StateLookup(state, state.classify(self._clock()))

    def last_backfill(self) -> BackfillRecord | None:
        return self._log.last()
