"""Builds the collection from the states themselves, in one pass, for the sake of those whom foreign writers wrote."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, compress
from typing import Self

import numpy as np
from numpy.typing import NDArray

from regime.rules.bulk_decode import RawStates, decode_in_bulk
from regime.rules.columns import Columns, are_current, merged, part_of, score_matrix
from regime.rules.freshness import Freshness, freshness_at, judge
from regime.rules.state import are_symbols
from regime.rules.state_check import misnamed_words
from regime.store.state_cache import StateCache
from regime.store.state_scan import StateScan

logger = logging.getLogger(__name__)

_NAMED = 5
_BATCHES_A_PART = 16  # columns cost numpy 40 µs, however short

# symbols, stamps, (n, 40) scores and data_through
_Rows = tuple[list[bytes], NDArray[np.float64], NDArray[np.float64], list[bytes]]


@dataclass(slots=True)
class Census:
    """What a pass found: states by freshness, scores left out, and keys whose name is no symbol in upper case, a few of
    them by name."""

    freshness: dict[Freshness, int] = field(default_factory=lambda: dict.fromkeys(Freshness, 0))
    bad_fields: int = 0
    misnamed: int = 0
    misnamed_names: list[bytes] = field(default_factory=list)

    def add_misnamed(self, names: Sequence[bytes]) -> None:
        self.misnamed += len(names)
        self.misnamed_names += names[: _NAMED - len(self.misnamed_names)]

    def told(self) -> dict[str, int | str]:
        """What the pointer to the collection tells of it."""
        return {"misnamed": self.misnamed, "misnamed_words": misnamed_words(self.misnamed, self.misnamed_names)}


class CollectionBuild:
    """Reads all states and keeps the current ones as columns. Memory is bounded by about 200 bytes a state."""

    def __init__(self, scan: StateScan, states: StateCache) -> None:
        self._scan = scan
        self._states = states
        self._warned = 0

    @classmethod
    def connect(cls) -> Self:
        return cls(StateScan.connect(), StateCache.connect())

    def build(self, now: float, on_batch: Callable[[int], None] = lambda count: None) -> tuple[Columns, Census]:
        """The states that are current at ``now`` (Unix seconds). ``on_batch`` hears the size of each batch read."""
        parts: list[Columns] = []
        rows: list[_Rows] = []
        census = Census()
        for raw in self._scan.batches():
            rows += self._current(raw, now, census)
            if len(rows) >= _BATCHES_A_PART:
                parts.append(_part(rows))
                rows = []
            on_batch(len(raw))
        self._warn(census)
        return merged([*parts, _part(rows)]) if rows else merged(parts), census

    def _warn(self, census: Census) -> None:
        if census.misnamed and census.misnamed != self._warned:  # said again when it changes, not after each pass
            logger.warning("no route serves %s", misnamed_words(census.misnamed, census.misnamed_names))
        self._warned = census.misnamed

    def _current(self, raw: RawStates, now: float, census: Census) -> list[_Rows]:
        if not are_symbols(raw.symbols):
            are_named = [are_symbols([symbol]) for symbol in raw.symbols]
            census.add_misnamed([name for name, is_named in zip(raw.symbols, are_named, strict=True) if not is_named])
            raw = raw.only(are_named)
        decoded = decode_in_bulk(raw)
        odd = [self._odd(decoded.odd, now, census)] if decoded.odd else []
        current = are_current(decoded.stamps, now)
        census.freshness[Freshness.CURRENT] += int(current.sum())
        if current.all():
            return [(decoded.symbols, decoded.stamps, decoded.scores, decoded.through), *odd]
        for stamp in decoded.stamps[~current].tolist():
            census.freshness[freshness_at(stamp, now)] += 1
        symbols, through = list(compress(decoded.symbols, current)), list(compress(decoded.through, current))
        return [(symbols, decoded.stamps[current], decoded.scores[current], through), *odd]

    def _odd(self, symbols: list[bytes], now: float, census: Census) -> _Rows:
        held = [state for state in self._states.get_many([symbol.decode() for symbol in symbols]) if state is not None]
        judged = [(state, judge(state, now)) for state in held]
        for state, verdict in judged:
            census.freshness[verdict.freshness] += 1
            census.bad_fields += state.bad_fields
        current = [(state, verdict) for state, verdict in judged if verdict.is_current]
        stamps = np.array([verdict.computed_at for _, verdict in current], dtype=np.float64)
        scores = score_matrix([state.scores for state, _ in current])
        symbols, through = [state.symbol.encode() for state, _ in current], [state.data_through for state, _ in current]
        return symbols, stamps, scores, through


def _part(rows: Sequence[_Rows]) -> Columns:
    symbols, stamps, scores, through = zip(*rows, strict=True)
    named, told = list(chain.from_iterable(symbols)), list(chain.from_iterable(through))
    return part_of(named, np.concatenate(stamps), np.concatenate(scores), told)
