"""Buffers usage counts in memory and writes them to Redis once a second, so that no request waits for them."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

from redis.exceptions import RedisError

from throttling.store.usage_stats import UsageStats

logger = logging.getLogger(__name__)

_MAX_SUBJECTS = 10_000


class UsageRecorder:
    """A timer writes the counts ``pause_seconds`` after the first of them. With None nothing is counted.

    Counts that Redis does not accept are dropped; only their number is written later, as ``degraded``.
    """

    def __init__(self, usage: UsageStats, pause_seconds: float | None, clock: Callable[[], float] = time.time) -> None:
        self._usage, self._pause_seconds, self._clock = usage, pause_seconds, clock
        self._requests: Counter[tuple[str, str]] = Counter()
        self._rejections: Counter[tuple[str, str]] = Counter()
        self._lost = 0
        self._timer: threading.Thread | None = None
        self._lock = threading.Lock()

    def count(self, tier: str, subject: str, is_rejected: bool) -> None:
        if self._pause_seconds is None:
            return
        with self._lock:
            if len(self._requests) < _MAX_SUBJECTS:
                self._requests[tier, subject] += 1
                if is_rejected:
                    self._rejections[tier, subject] += 1
            if self._timer is None or not self._timer.is_alive():
                self._timer = threading.Timer(self._pause_seconds, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        with self._lock:
            requests, self._requests = self._requests, Counter()
            rejections, self._rejections = self._rejections, Counter()
            self._timer = None
        if not requests:
            return
        try:
            self._usage.add(requests, rejections, self._clock(), self._lost)
        except RedisError as failure:
            self._lost += requests.total()
            logger.warning("cannot write the usage of %d requests, dropping it: %s", requests.total(), failure)
        else:
            self._lost = 0
