"""The threads that hand touches to servers. Everything else, database and Redis, stays with the worker's own thread."""

import logging
import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Self

from django.utils.module_loading import import_string

from outreach.conf import OutreachConf
from outreach.domain.reservation import Outcome, Outgoing, Tried
from outreach.services.senders import Sender

logger = logging.getLogger(__name__)
_IDLE_SECONDS = 5.0


class SenderPool:
    """``size`` threads, each with senders of its own by channel; one touch in each one's hands at a time."""

    def __init__(self, size: int, senders: Mapping[str, Callable[[], Sender]], clock: Callable[[], float]) -> None:
        self.size = size
        self._senders = senders
        self._clock = clock
        self._todo: queue.SimpleQueue[Outgoing | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Tried] = queue.SimpleQueue()
        self._in_hand: dict[str, Outgoing] = {}
        self._threads: list[threading.Thread] = []

    @classmethod
    def of(cls, size: int, conf: OutreachConf, clock: Callable[[], float]) -> Self:
        """A crew with the senders that the settings name."""
        return cls(size, {channel: _maker(path, conf) for channel, path in conf.senders.items()}, clock)

    @property
    def in_hand(self) -> tuple[Outgoing, ...]:
        """Touches given to the crew and not yet collected."""
        return tuple(self._in_hand.copy().values())

    @property
    def free(self) -> int:
        return self.size - len(self._in_hand)

    def give(self, touches: Iterable[Outgoing]) -> None:
        for touch in touches:
            self._in_hand[touch.touch_id] = touch
            self._todo.put(touch)
            if len(self._threads) < min(self.size, len(self._in_hand)):
                self._hire()

    def collect(self, wait_seconds: float = 0.0) -> list[Tried]:
        """What is finished; waits for a first one at most ``wait_seconds``."""
        results: list[Tried] = []
        try:
            results.append(self._done.get(timeout=wait_seconds) if wait_seconds else self._done.get_nowait())
            while True:
                results.append(self._done.get_nowait())
        except queue.Empty:
            pass
        for result in results:
            del self._in_hand[result.outgoing.touch_id]
        return results

    def dismiss(self) -> None:
        """Lets the threads end; one that hangs in a server is left behind."""
        for _ in self._threads:
            self._todo.put(None)

    def _hire(self) -> None:
        thread = threading.Thread(target=self._work, name=f"sender-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        senders: dict[str, Sender] = {}
        while (touch := self._next(senders)) is not None:
            self._done.put(Tried(touch, self._send(senders, touch), self._clock()))
        _close(senders)

    def _send(self, senders: dict[str, Sender], touch: Outgoing) -> Outcome:
        try:
            if touch.channel not in senders:
                senders[touch.channel] = self._senders[touch.channel]()
            return senders[touch.channel].send(touch)
        except Exception as bug:
            logger.exception(
                "touch %s: the %s sender failed in a way it does not foresee", touch.touch_id, touch.channel
            )
            return Outcome("unknown", detail=f"the sender failed: {type(bug).__name__}")

    def _next(self, senders: dict[str, Sender]) -> Outgoing | None:
        try:
            return self._todo.get(timeout=_IDLE_SECONDS)
        except queue.Empty:
            _close(senders)
            return self._todo.get()


def _close(senders: Mapping[str, Sender]) -> None:
    for channel, sender in senders.items():
        try:
            sender.close()
        except Exception:
            logger.exception("the %s sender could not close; its thread goes on", channel)


def _maker(path: str, conf: OutreachConf) -> Callable[[], Sender]:
    make: Callable[[OutreachConf], Sender] = import_string(path)
    return lambda: make(conf)
