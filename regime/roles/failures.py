"""What a command says when its Redis fails: one line that tells which role it is and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError
from redis.exceptions import RedisClusterException, RedisError

from avo_project.redaction import redacted
from regime import keys

REDIS_FAILURES = (RedisError, RedisClusterException)  # the second is none of the first


@contextmanager
def redis_failure_told(advice: str) -> Iterator[None]:
    """Raises CommandError, with ``advice`` at its end, when the Redis of this role fails within the block."""
    try:
        yield
    except REDIS_FAILURES as failure:
        why = redacted(str(failure)).strip().rstrip(".") or type(failure).__name__
        raise CommandError(f"the Redis of the role {keys.REDIS_ALIAS} failed: {why}. {advice}") from failure
