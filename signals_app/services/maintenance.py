"""What consumers do for the stream now and then: trim it, note their pace, remove the names of consumers long dead."""

import logging
from collections.abc import Callable

from signals_app.store.group import ConsumerGroup
from signals_app.store.stream import SignalStream

logger = logging.getLogger(__name__)

_INTERVAL_SECONDS = 5.0


class Maintenance:
    """Any number of consumers may keep house at once: each step is one script."""

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
        """Keeps house if it is time; says whether it was. What goes on ``sample`` keeps its own time."""
        self._sample(now)
        if now < self._due:
            return False
        self._due = now + _INTERVAL_SECONDS
        self.run()
        return True

    def run(self) -> None:
        """Keeps house now."""
        self._group.record_pace()
        if trimmed := self._stream.trim():
            logger.info("trimmed %d entries", trimmed)
        if removed := self._group.remove_idle_consumers(self._forget_consumer_after_ms):
            logger.info("removed consumers %s of group %s", ", ".join(removed), self._group.name)
