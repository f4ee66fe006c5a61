"""Demo signals: changes from a historical series, published a few a minute as if they happened now."""

from collections.abc import Callable, Iterator
from datetime import date

from avo_project.runtime.stop_flag import StopFlag
from signals_app.services.derivation import Change, signal_for
from signals_app.services.publisher import Publisher


class DemoSource:
    """``changes`` is endless; ``clock`` returns Unix seconds; ``spread()`` returns the random factor of a pause."""

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
