"""When each API key was used last, written down once a minute, so that no request pays a write for it."""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from django.db import DatabaseError, connections

from throttling.models import APIKey

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 60.0


def _now() -> datetime:
    return datetime.now(UTC)


class LastUse:
    """A timer writes the keys used, ``pause_seconds`` after the first of them (None: nothing is noted).

    It is a figure for people, good to a minute: what the database does not take is dropped.
    """

    def __init__(self, pause_seconds: float | None = PAUSE_SECONDS, now: Callable[[], datetime] = _now) -> None:
        self._pause_seconds, self._now = pause_seconds, now
        self._used: set[int] = set()
        self._timer: threading.Thread | None = None
        self._lock = threading.Lock()

    def note(self, key_id: int) -> None:
        if self._pause_seconds is None:
            return
        with self._lock:
            self._used.add(key_id)
            if self._timer is None or not self._timer.is_alive():
                self._timer = threading.Timer(self._pause_seconds, self._run)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        with self._lock:
            used, self._used, self._timer = self._used, set(), None
        try:
            APIKey.objects.filter(pk__in=used).update(last_used_at=self._now())
        except DatabaseError as failure:
            logger.warning("the last use of %d API keys cannot be written down: %s", len(used), failure)

    def _run(self) -> None:
        """In the timer's thread, whose connection nobody else would close."""
        try:
            self.flush()
        finally:
            connections.close_all()
