"""The pool of sender threads. They use neither Redis nor the database; the worker's thread does."""

import logging
import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Self

from django.utils.module_loading import import_string

from outreach.conf import OutreachConf
from outreach.domain.reservation import Outcome, Outgoing, SendResult
from outreach.services.senders import Sender

logger = logging.getLogger(__name__)
_IDLE_SECONDS = 5.0


class SenderPool:
    """Up to ``size`` threads, started on demand. Each has its own senders by channel and sends one touch at a time."""

    def __init__(self, size: int, senders: Mapping[str, Callable[[], Sender]], clock: Callable[[], float]) -> None:
        self.size = size
        self._senders = senders
        self._clock = clock
        self._pending: queue.SimpleQueue[Outgoing | None] = queue.SimpleQueue()
        self._finished: queue.SimpleQueue[SendResult] = queue.SimpleQueue()
        self._in_flight: dict[str, Outgoing] = {}
        self._threads: list[threading.Thread] = []

    @classmethod
    def of(cls, size: int, conf: OutreachConf, clock: Callable[[], float]) -> Self:
        """A pool with the senders named in the settings."""
        return cls(size, {channel: _maker(path, conf) for channel, path in conf.senders.items()}, clock)

    @property
    def in_flight(self) -> tuple[Outgoing, ...]:
        """Touches submitted whose results were not polled yet."""
        return tuple(self._in_flight.copy().values())

    @property
    def free(self) -> int:
        return self.size - len(self._in_flight)

    def submit(self, touches: Iterable[Outgoing]) -> None:
        for touch in touches:
            self._in_flight[touch.touch_id] = touch
            self._pending.put(touch)
            if len(self._threads) < min(self.size, len(self._in_flight)):
                self._start_thread()

    def poll(self, wait_seconds: float = 0.0) -> list[SendResult]:
        """The results that are ready; waits up to ``wait_seconds`` for the first one."""
        results: list[SendResult] = []
        try:
            results.append(self._finished.get(timeout=wait_seconds) if wait_seconds else self._finished.get_nowait())
            while True:
                results.append(self._finished.get_nowait())
        except queue.Empty:
            pass
        for result in results:
            del self._in_flight[result.outgoing.touch_id]
        return results

    def shutdown(self) -> None:
        """Ends idle threads, and busy ones after their current send. Does not wait for them."""
        for _ in self._threads:
            self._pending.put(None)

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._run, name=f"sender-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self) -> None:
        senders: dict[str, Sender] = {}
        while (touch := self._next_touch(senders)) is not None:
            self._finished.put(SendResult(touch, self._send(senders, touch), self._clock()))
        _close(senders)

    def _send(self, senders: dict[str, Sender], touch: Outgoing) -> Outcome:
        try:
            if touch.channel not in senders:
                senders[touch.channel] = self._senders[touch.channel]()
            return senders[touch.channel].send(touch)
        except Exception as bug:
            logger.exception("touch %s: the %s sender raised an unexpected error", touch.touch_id, touch.channel)
            return Outcome("unknown", detail=f"the sender failed: {type(bug).__name__}")

    def _next_touch(self, senders: dict[str, Sender]) -> Outgoing | None:
        try:
            return self._pending.get(timeout=_IDLE_SECONDS)
        except queue.Empty:
            _close(senders)
            return self._pending.get()


def _close(senders: Mapping[str, Sender]) -> None:
    for channel, sender in senders.items():
        try:
            sender.close()
        except Exception:
            logger.exception("the %s sender failed to close; its thread continues", channel)


def _maker(path: str, conf: OutreachConf) -> Callable[[], Sender]:
    make: Callable[[OutreachConf], Sender] = import_string(path)
    return lambda: make(conf)
