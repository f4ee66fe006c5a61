"""Derives signals from changes of the dominant regime: one per symbol and cycle, however often it is run; and demo
signals from a historical series."""

import time
import uuid
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Self
from urllib.parse import quote

from django.utils.module_loading import import_string

from avo_project.runtime.stop_flag import StopFlag
from signals_app import keys
from signals_app.conf import SignalsConf
from signals_app.domain.event import Direction, Event
from signals_app.services.publisher import Publisher
from signals_app.store.stream import CheckpointMovedError, SignalStream, StreamFullError

Change = tuple[str, str, float]
"""Symbol, its new dominant regime, the new score in 0..1."""

Changes = Callable[[str], tuple[str, Sequence[Change]]]
"""Timeframe -> (id of the cycle, the symbols whose dominant regime differs from the cycle before)."""

_DIRECTIONS: dict[str, Direction] = {"bull": "long", "bear": "short"}
_NAMESPACE = uuid.UUID("6f0b4f3e-2d0c-5d0e-9c3a-6a2f6a1b7c55")
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Derived:
    """Result of a run: the number of ``changes`` in the cycle, and how many of them this run ``published``."""

    cycle: str
    changes: int
    published: int


def signal_for(cycle: str, timeframe: str, change: Change, now_ms: int) -> Event:
    """The signal of one change; the same change of the same cycle always has the same ``signal_id``."""
    symbol, regime, score = change
    return Event(
        signal_id=str(uuid.uuid5(_NAMESPACE, f"{cycle} {timeframe} {symbol}")),
        symbol=symbol,
        direction=_DIRECTIONS.get(regime, "flat"),
        confidence=float(score),
        published_at_ms=now_ms,
        extra={"timeframe": timeframe, "regime": regime, "cycle": cycle},
    )


class Deriver:
    """Publishes in order of symbol and stores its progress in the same transaction.

    A killed run is resumed where it stopped; a finished cycle publishes nothing more.
    """

    def __init__(self, stream: SignalStream, changes: Changes, clock: Callable[[], float] = time.time) -> None:
        self._stream = stream
        self._changes = changes
        self._clock = clock

    @classmethod
    def connect(cls) -> Self:
        """Raises ImportError when ``SIGNALS["CHANGES"]`` names no function."""
        return cls(SignalStream.connect(), import_string(SignalsConf.load().changes))

    def derive(self, timeframe: str) -> Derived:
        """Publish the signals of the current cycle. Raises StreamFullError when no more fit (run it again later),
        ValueError for an unknown timeframe, RedisError."""
        cycle, found = self._changes(timeframe)
        changes = sorted(found)
        symbols = [change[0] for change in changes]
        key, encoded_cycle = keys.derived(timeframe), quote(cycle, safe="")
        self._stream.make_default_group()
        checkpoint, published, size = self._stream.checkpoint(key), 0, _BATCH
        while batch := changes[(start := _resume_at(symbols, encoded_cycle, checkpoint)) : start + size]:
            next_checkpoint = f"{encoded_cycle}/{batch[-1][0]}"
            try:
                self._stream.publish_with_checkpoint(
                    self._events(cycle, timeframe, batch), key=key, before=checkpoint, checkpoint=next_checkpoint
                )
            except CheckpointMovedError as moved:  # a concurrent run has advanced: continue from its checkpoint
                checkpoint = moved.checkpoint
            except StreamFullError as full:
                size = min(full.room, len(batch) - 1)
                if size <= 0:
                    raise
            else:
                checkpoint, published = next_checkpoint, published + len(batch)
        return Derived(cycle, len(changes), published)

    def _events(self, cycle: str, timeframe: str, batch: Sequence[Change]) -> list[Event]:
        now_ms = int(self._clock() * 1000)
        return [signal_for(cycle, timeframe, change, now_ms) for change in batch]


def _resume_at(symbols: Sequence[str], encoded_cycle: str, checkpoint: str) -> int:
    checkpoint_cycle, _, last_symbol = checkpoint.partition("/")
    return bisect_right(symbols, last_symbol) if checkpoint_cycle == encoded_cycle else 0


class DemoSource:
    """Publishes changes of a historical series, a few a minute, as if they happened now.

    ``changes`` is endless; ``clock`` returns Unix seconds; ``spread()`` returns the random factor of a pause.
    """

    def __init__(
        self,
        publisher: Publisher,
        changes: Iterator[tuple[date, Change]],
        *,
        timeframe: str,
        per_minute: float,
        clock: Callable[[], float],
        spread: Callable[[], float],
    ) -> None:
        self._publisher = publisher
        self._changes = changes
        self._timeframe = timeframe
        self._pause_seconds = 60 / per_minute
        self._clock = clock
        self._spread = spread

    def step(self) -> float:
        """Publish the next change. Returns the seconds until the one after. Raises StreamFullError, RedisError."""
        day, change = next(self._changes)
        now_ms = int(self._clock() * 1000)
        cycle = f"demo of {day} at {now_ms}"  # each publication is a signal of its own
        self._publisher.publish_batch([signal_for(cycle, self._timeframe, change, now_ms)])
        return self._pause_seconds * self._spread()

    def run(self, stop: StopFlag) -> None:
        """Run until ``stop``."""
        while not stop:
            stop.wait(self.step())
