"""Buffers usage counts in memory and writes them to Redis once a second, so that no request waits for them."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

from redis.exceptions import RedisError

from avo_project.runtime.delayed_call import DelayedCall
from throttling.store.usage_stats import UsageStats

logger = logging.getLogger(__name__)

_MAX_SUBJECTS = 10_000


class UsageRecorder:
    """A timer writes the counts ``pause_seconds`` after the first of them. With None nothing is counted.

    Counts that Redis does not accept are dropped; only their number is written later, as ``degraded``.
    """

    def __init__(self, usage: UsageStats, pause_seconds: float | None, clock: Callable[[], float] = time.time) -> None:
        self._usage, self._clock = usage, clock
        self._requests: Counter[tuple[str, str]] = Counter()
        self._rejections: Counter[tuple[str, str]] = Counter()
        self._lost = 0
        self._lock = threading.Lock()
        self._write = None if pause_seconds is None else DelayedCall(self.flush, pause_seconds)

    def count(self, tier: str, subject: str, is_rejected: bool) -> None:
        if self._write is None:
            return
        with self._lock:
            if len(self._requests) < _MAX_SUBJECTS:
                self._requests[tier, subject] += 1
                if is_rejected:
                    self._rejections[tier, subject] += 1
        self._write.request()

    def flush(self) -> None:
        with self._lock:
            requests, self._requests = self._requests, Counter()
            rejections, self._rejections = self._rejections, Counter()
        if not requests:
            return
        try:
            self._usage.add(requests, rejections, self._clock(), self._lost)
        except RedisError as failure:
            self._lost += requests.total()
            logger.warning("cannot write the usage of %d requests, dropping it: %s", requests.total(), failure)
        else:
            self._lost = 0
