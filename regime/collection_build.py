"""Builds the collection from the states themselves, in one pass, for the sake of those whom foreign writers wrote."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from regime.bulk_decode import RawState, decode_in_bulk
from regime.columns import Columns, are_current, columns_of, merged, score_matrix
from regime.freshness import Freshness, freshness_at, judge
from regime.state import are_symbols
from regime.state_cache import StateCache
from regime.state_scan import StateScan

_MERGE_EVERY = 64  # parts


@dataclass(slots=True)
class Census:
    """What a pass found: states by freshness, scores left out, and keys whose name is no symbol."""

    freshness: dict[Freshness, int] = field(default_factory=lambda: dict.fromkeys(Freshness, 0))
    bad_fields: int = 0
    bad_symbols: int = 0


class CollectionBuild:
    """Reads all states and keeps the current ones as columns. Memory is bounded by about 100 bytes a state."""

    def __init__(self, scan: StateScan, states: StateCache) -> None:
        self._scan = scan
        self._states = states

    @classmethod
    def connect(cls) -> Self:
        return cls(StateScan.connect(), StateCache.connect())

    def build(self, now: float, on_batch: Callable[[int], None] = lambda count: None) -> tuple[Columns, Census]:
        """The states that are current at ``now`` (Unix seconds). ``on_batch`` hears the size of each batch read."""
        parts: list[Columns] = []
        census = Census()
        for raw in self._scan.batches():
            parts += self._columns(raw, now, census)
            if len(parts) >= _MERGE_EVERY:
                parts = [merged(parts)]
            on_batch(len(raw))
        return merged(parts), census

    def _columns(self, raw: list[RawState], now: float, census: Census) -> list[Columns]:
        if not are_symbols([symbol for symbol, _ in raw]):
            named = [state for state in raw if are_symbols([state[0]])]
            census.bad_symbols += len(raw) - len(named)
            raw = named
        decoded = decode_in_bulk(raw)
        stamps, current = decoded.stamps, are_current(decoded.stamps, now)
        for stamp in stamps[~current].tolist():
            census.freshness[freshness_at(stamp, now)] += 1
        census.freshness[Freshness.CURRENT] += int(current.sum())
        symbols = [decoded.symbols[place] for place in np.flatnonzero(current)]
        usual = columns_of(symbols, stamps[current], decoded.scores[current])
        return [usual, *self._odd_columns(decoded.odd, now, census)]

    def _odd_columns(self, raw: list[RawState], now: float, census: Census) -> list[Columns]:
        if not raw:
            return []
        held = [state for state in self._states.get_many([symbol.decode() for symbol, _ in raw]) if state is not None]
        judged = [(state, judge(state, now)) for state in held]
        for state, verdict in judged:
            census.freshness[verdict.freshness] += 1
            census.bad_fields += state.bad_fields
        current = [(state, verdict) for state, verdict in judged if verdict.is_current]
        stamps = np.array([verdict.computed_at for _, verdict in current], dtype=np.float64)
        scores = score_matrix([state.scores for state, _ in current])
        return [columns_of([state.symbol.encode() for state, _ in current], stamps, scores)]
