"""Periodic maintenance by consumers: trims the stream, records drain rates, removes long expired consumers."""

import logging
from collections.abc import Callable

from signals_app.store.group import ConsumerGroup
from signals_app.store.stream import SignalStream

logger = logging.getLogger(__name__)

_INTERVAL_SECONDS = 5.0


class Maintenance:
    """Safe to run in any number of consumers at once: each task is one script. ``sample`` is called at every step."""

    def __init__(
        self,
        stream: SignalStream,
        group: ConsumerGroup,
        *,
        forget_consumer_after_ms: int,
        sample: Callable[[float], object] = lambda now: None,
    ) -> None:
        self._stream = stream
        self._group = group
        self._forget_consumer_after_ms = forget_consumer_after_ms
        self._sample = sample
        self._due = 0.0

    def step(self, now: float) -> bool:
        """Run the tasks if due. Returns whether they ran."""
        self._sample(now)
        if now < self._due:
            return False
        self._due = now + _INTERVAL_SECONDS
        self.run()
        return True

    def run(self) -> None:
        """Run all tasks now."""
        self._group.record_pace()
        if trimmed := self._stream.trim():
            logger.info("trimmed %d entries", trimmed)
        if removed := self._group.remove_idle_consumers(self._forget_consumer_after_ms):
            logger.info("removed consumers %s of group %s", ", ".join(removed), self._group.name)
