"""One cycle of the pipeline: scores all closes, writes the states and publishes the collection."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from regime.domain.columns import (
    Columns,
    DominanceLog,
    after_cycle,
    are_current,
    columns_of,
    empty_columns,
    empty_dominance_log,
    merged,
    old_data,
    score_matrix,
)
from regime.domain.freshness import OLD_DAYS
from regime.domain.prices import Closes
from regime.domain.scoring import scores_of_closes
from regime.domain.state import RegimeState
from regime.services.refresher import CollectionBuild
from regime.store.collection_store import CollectionStore, Pointer
from regime.store.state_cache import PutOutcome, StateCache

_DECIMALS = 4


def states_of_closes(closes: Closes, computed_at: float) -> Iterator[RegimeState]:
    """A state for each symbol with enough history for a score; ``computed_at`` in Unix seconds."""
    all_scores = scores_of_closes(closes.table).round(_DECIMALS)
    for symbol, last_day, scores in zip(closes.symbols, closes.last_days(), all_scores, strict=True):
        known = ~np.isnan(scores)
        if known.any():
            values = tuple(value if is_known else None for value, is_known in zip(scores.tolist(), known, strict=True))
            yield RegimeState(symbol, computed_at, values, b"" if last_day is None else last_day.isoformat().encode())


_ROWS_A_PART = 2_000
_MERGE_EVERY = 32  # parts


@dataclass(slots=True)
class CycleReport:
    """What became of the states of a cycle; ``cycle_id`` is None when not one was written and so no cycle ended;
    ``old_data`` counts those written whose data is old."""

    outcomes: dict[PutOutcome, int] = field(default_factory=lambda: dict.fromkeys(PutOutcome, 0))
    cycle_id: str | None = None
    old_data: int = 0

    @property
    def written(self) -> int:
        return self.outcomes[PutOutcome.WRITTEN]

    def summary(self) -> str:
        return " ".join(f"{outcome.name.lower()}={count}" for outcome, count in self.outcomes.items())

    def warning(self) -> str | None:
        """What the operator should know about the data, None for nothing."""
        if not self.old_data:
            return None
        return (
            f"warning: the data of {self.old_data} of {self.written} states ended more than {OLD_DAYS} days ago; "
            "they are served as current, with their data_through. Compute them from newer data."
        )


class Cycle:
    """Writes the states of one cycle. ``clock`` gives Unix seconds."""

    def __init__(
        self, states: StateCache, store: CollectionStore, build: CollectionBuild, clock: Callable[[], float]
    ) -> None:
        self._states = states
        self._store = store
        self._build = build
        self._clock = clock

    @classmethod
    def connect(cls, clock: Callable[[], float]) -> Self:
        return cls(StateCache.connect(), CollectionStore.connect(), CollectionBuild.connect(), clock)

    def write(self, states: Iterable[RegimeState], on_put: Callable[[], None] = lambda: None) -> CycleReport:
        """Puts ``states`` as they come and ends the cycle. Memory is bounded by about 115 bytes a symbol.

        ``on_put`` is called once a state.
        """
        report = CycleReport()
        rows = _Rows()
        for state, outcome in self._states.put_many(states):
            report.outcomes[outcome] += 1
            if outcome is PutOutcome.WRITTEN:
                rows.add(state)
            on_put()
        if report.written:
            columns = rows.columns()
            report.cycle_id = self._end(columns, report.written).cycle_id
            report.old_data = old_data(columns, self._clock())
        return report

    def _end(self, written: Columns, states: int) -> Pointer:
        while True:  # another try only when another cycle or build was swapped in meanwhile
            pointer = self._store.pointer()
            now = self._clock()
            held = self._held(pointer, now)
            # Nothing to add to: what foreign writers wrote must not be missing.
            columns = merged([self._build.build(now)[0] if held is None else held, written])
            before = self._store.load_dominance_log(pointer.ledger) or _dominance_log_of(held, pointer.cycle)
            dominance_log = after_cycle(before, written, pointer.cycle + 1)
            ended = self._store.end_cycle(columns, dominance_log, pointer, now, states)
            if ended is not None:
                return ended

    def _held(self, pointer: Pointer, now: float) -> Columns | None:
        held = self._store.load(pointer.collection, in_steps=True) if pointer.collection else None
        return None if held is None else held.columns.take(are_current(held.columns.stamps, now))


def _dominance_log_of(held: Columns | None, cycle: int) -> DominanceLog:
    """The log of ``cycle``, rebuilt from the collection when the stored one is missing or of another format. Without it
    every symbol would count as changed."""
    return empty_dominance_log() if held is None or not cycle else after_cycle(empty_dominance_log(), held, cycle)


class _Rows:  # the states of a cycle so far, as columns
    def __init__(self) -> None:
        self._states: list[RegimeState] = []
        self._parts: list[Columns] = []

    def add(self, state: RegimeState) -> None:
        self._states.append(state)
        if len(self._states) >= _ROWS_A_PART:
            self._pack()

    def columns(self) -> Columns:
        self._pack()
        return merged(self._parts) if self._parts else empty_columns()

    def _pack(self) -> None:
        symbols = [state.symbol.encode() for state in self._states]
        stamps = np.array([state.computed_at for state in self._states], dtype=np.float64)
        scores, through = score_matrix([one.scores for one in self._states]), [one.data_through for one in self._states]
        self._parts.append(columns_of(symbols, stamps, scores, through))
        self._states.clear()
        if len(self._parts) >= _MERGE_EVERY:
            self._parts = [merged(self._parts)]
