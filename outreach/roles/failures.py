"""What is done when the queue's Redis or the ledger's database is away: wait for it, or say so in one line."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError
from django.db import Error as DatabaseFailure
from django.db import close_old_connections
from redis.exceptions import RedisClusterException, RedisError

from avo_project.redaction import redacted
from outreach.keys import REDIS_ALIAS

logger = logging.getLogger(__name__)
STORE_FAILURES = (RedisError, RedisClusterException, DatabaseFailure)  # the second is none of the first

_FIRST_SECONDS = 0.2
_LONGEST_SECONDS = 2.0


class GivenUpError(Exception):
    """A store stayed away for longer than somebody who waits for the end would wait; the message is for a person."""


class Patience:
    """How long to rest after failures in a row; after ``limit_seconds`` of nothing else it ends. None: never.

    ``clock`` gives seconds.
    """

    def __init__(self, clock: Callable[[], float], limit_seconds: float | None) -> None:
        self._clock = clock
        self._limit_seconds = limit_seconds
        self._failures = 0
        self._since = 0.0

    def rest_seconds(self, failure: Exception) -> float:
        """0.2 s, 0.4 s … up to 2 s: short enough to be at work soon after a restart. Raises GivenUpError."""
        now = self._clock()
        self._since = self._since if self._failures else now
        self._failures += 1
        if self._limit_seconds is not None and now - self._since >= self._limit_seconds:
            raise GivenUpError(told(failure)) from failure
        if isinstance(failure, DatabaseFailure):
            close_old_connections()
        seconds = float(min(_LONGEST_SECONDS, _FIRST_SECONDS * 2 ** min(self._failures - 1, 8)))
        logger.warning("next try in %.1f s: %s", seconds, told(failure))
        return seconds

    def renew(self) -> None:
        """Something went well."""
        self._failures = 0


def told(failure: Exception) -> str:
    """The failure in one line without secrets, and whose it is."""
    lines = redacted(str(failure)).strip().splitlines() or [type(failure).__name__]
    whose = "the database" if isinstance(failure, DatabaseFailure) else f"the Redis of the role {REDIS_ALIAS}"
    return f"{whose} failed: {lines[0].rstrip('.')}."


@contextmanager
def failures_told(advice: str) -> Iterator[None]:
    """Raises CommandError, with ``advice`` at its end, when Redis or the database fails within the block."""
    try:
        yield
    except STORE_FAILURES as failure:
        raise CommandError(f"{told(failure)} {advice}") from failure
    except GivenUpError as failure:
        raise CommandError(f"{failure} {advice}") from failure
