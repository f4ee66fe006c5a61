"""Graceful shutdown of long-running loops: the first SIGTERM or SIGINT sets a flag, the second one kills."""

import os
import select
import signal
from types import FrameType, TracebackType
from typing import Self

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopFlag:
    """A flag that is set by a signal while it is used as a context manager, or by ``set()``.

    It uses a pipe instead of a threading.Event, whose lock may be held by the very thread that the signal handler
    interrupts. Signals can only be caught in the main thread; elsewhere use ``set()``.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._reader, self._writer = os.pipe()
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def __bool__(self) -> bool:
        return self._is_set

    def set(self) -> None:
        if not self._is_set:
            self._is_set = True
            os.write(self._writer, b"\0")

    def wait(self, seconds: float) -> bool:
        """Waits until the flag is set, at most ``seconds``; returns whether it is set."""
        if not self._is_set:
            select.select([self._reader], [], [], max(0.0, seconds))
        return self._is_set

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.set()
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._previous.clear()

    def __del__(self) -> None:
        os.close(self._reader)
        os.close(self._writer)
