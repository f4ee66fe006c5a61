"""A call that a timer makes some time after it was requested, so that the requester does not wait for it."""

import threading
from collections.abc import Callable


class DelayedCall:
    """Calls ``action`` in a thread of its own ``pause_seconds`` after the first ``request`` since the last call."""

    def __init__(self, action: Callable[[], object], pause_seconds: float) -> None:
        self._action, self._pause_seconds = action, pause_seconds
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def request(self) -> None:
        with self._lock:
            if self._timer is None or not self._timer.is_alive():  # the thread does not survive a fork
                self._timer = threading.Timer(self._pause_seconds, self._run)
                self._timer.daemon = True
                self._timer.start()

    def _run(self) -> None:
        with self._lock:
            self._timer = None  # a request from here on gets a call of its own
        self._action()
