"""The deadline of a graceful shutdown."""

import signal
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import Any, Self

from avo_project.runtime.stop_flag import StopFlag

_POLL_SECONDS = 0.5


class TimeIsUpError(BaseException):
    """Raised in the main thread at the deadline, inside a handler or a Redis call that hangs. Not caught by
    ``except Exception``."""


class StopDeadline:
    """Once the stop flag is set, no further event is started after ``finish_seconds``. At each of ``abandon_seconds``
    SIGALRM interrupts the main thread: in its handler, in releasing entries, in waiting for other threads."""

    def __init__(
        self,
        stop: StopFlag,
        *,
        finish_seconds: float = 4.0,
        abandon_seconds: Sequence[float] = (5.5, 7.0, 7.5),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stop = stop
        self._finish_seconds = finish_seconds
        self._abandon_seconds = abandon_seconds
        self._clock = clock
        self._asked_at: float | None = None
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stop-deadline", daemon=True)
        self._previous: Any = None

    def must_end(self) -> bool:
        """Whether no further event may be started."""
        return self._asked_at is not None and self._clock() - self._asked_at > self._finish_seconds

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGALRM, self._abandon)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        if self._stop:
            self._thread.join()
        if self._previous is not None:
            signal.signal(signal.SIGALRM, self._previous)

    def _watch(self) -> None:
        while not self._stop.wait(_POLL_SECONDS):
            if self._left.is_set():
                return
        self._asked_at = self._clock()
        for seconds in self._abandon_seconds:
            if self._left.wait(self._asked_at + seconds - self._clock()) or self._previous is None:
                return
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)

    def _abandon(self, number: int, frame: FrameType | None) -> None:
        raise TimeIsUpError
