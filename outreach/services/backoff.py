"""The back-off of a worker while Redis or the database is unavailable."""

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
    """The delay after consecutive store failures. After ``limit_seconds`` of failures (None: never) it raises.

    ``clock`` returns seconds.
    """

    def __init__(self, clock: Callable[[], float], limit_seconds: float | None) -> None:
        self._clock = clock
        self._limit_seconds = limit_seconds
        self._failures = 0
        self._since = 0.0

    def delay_seconds(self, failure: Exception) -> float:
        """0.2 s, doubling up to 2 s, so that work resumes soon after an outage. Raises ``failure`` past the limit."""
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
        """Starts over, after a success."""
        self._failures = 0
