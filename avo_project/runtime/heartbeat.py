"""A thread that sends a heartbeat at a fixed interval while its owner works."""

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from redis.exceptions import RedisError

logger = logging.getLogger(__name__)


class Heartbeat:
    """Calls ``beat`` at once and then every ``interval_seconds`` until the context is left.

    A Redis failure is logged, and the next beat tries again. Any other exception of ``beat`` is a bug and is raised
    when the context is left.
    """

    def __init__(self, beat: Callable[[], object], interval_seconds: float) -> None:
        self._beat = beat
        self._interval_seconds = interval_seconds
        self._stopped = threading.Event()
        self._bug: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._beat()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
        if self._bug is not None and error is None:
            raise self._bug

    def _run(self) -> None:
        while not self._stopped.wait(self._interval_seconds):
            try:
                self._beat()
            except RedisError as failure:
                logger.warning("heartbeat missed: %s", failure)
            except Exception as bug:  # noqa: BLE001 - raised in the owner when the context is left
                self._bug = bug
                return
