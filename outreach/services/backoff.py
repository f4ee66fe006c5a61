"""How long a worker waits while the queue's Redis or the ledger's database is away."""

import logging
from collections.abc import Callable

from django.db import Error as DatabaseFailure
from django.db import close_old_connections

from avo_project.lib.backoff import exponential_seconds
from avo_project.redis_client.errors import describe_store_error
from outreach.keys import REDIS_ALIAS

logger = logging.getLogger(__name__)

_FIRST_SECONDS = 0.2
_LONGEST_SECONDS = 2.0


class Backoff:
    """How long to rest after failures in a row; after ``limit_seconds`` of nothing else it ends. None: never.

    ``clock`` gives seconds.
    """

    def __init__(self, clock: Callable[[], float], limit_seconds: float | None) -> None:
        self._clock = clock
        self._limit_seconds = limit_seconds
        self._failures = 0
        self._since = 0.0

    def delay_seconds(self, failure: Exception) -> float:
        """0.2 s, 0.4 s … up to 2 s: short enough to be at work soon after a restart. Past the limit: raises it."""
        now = self._clock()
        self._since = self._since if self._failures else now
        self._failures += 1
        if self._limit_seconds is not None and now - self._since >= self._limit_seconds:
            raise failure
        if isinstance(failure, DatabaseFailure):
            close_old_connections()
        seconds = exponential_seconds(self._failures, _FIRST_SECONDS, _LONGEST_SECONDS)
        logger.warning("next try in %.1f s: %s", seconds, describe_store_error(failure, REDIS_ALIAS))
        return seconds

    def reset(self) -> None:
        """Something went well."""
        self._failures = 0
