"""Failures of Redis and of the database, and the one-line message of a command that meets one."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError
from django.db import DatabaseError, InterfaceError, InternalError, OperationalError, ProgrammingError
from django.db import Error as DatabaseFailure
from django.db.transaction import TransactionManagementError
from redis.exceptions import RedisClusterException, RedisError

from avo_project.lib.redaction import redacted

REDIS_FAILURES = (RedisError, RedisClusterException)  # RedisClusterException is not a RedisError
STORE_FAILURES = (*REDIS_FAILURES, DatabaseFailure)
_OF_THE_DATABASE = (OperationalError, InterfaceError, ProgrammingError, InternalError)


def is_of_the_database(error: BaseException | None) -> bool:
    """Whether the database failed (down, full, locked, corrupt, not migrated), as opposed to the query.

    A missing table is a programming error in PostgreSQL and an operational one in SQLite, which raises the plain base
    class for a corrupt file. Django's own errors of these classes are the caller's.
    """
    if isinstance(error, TransactionManagementError):
        return False
    return isinstance(error, _OF_THE_DATABASE) or (type(error) is DatabaseError and error.__cause__ is not None)


def describe_store_error(failure: Exception, role: str) -> str:
    """The failure in one line without secrets, with the store that failed: the database or the Redis of the role."""
    lines = redacted(str(failure)).strip().splitlines() or [type(failure).__name__]
    whose = "the database" if isinstance(failure, DatabaseFailure) else f"the Redis of the role {role}"
    return f"{whose} failed: {lines[0].rstrip('.')}."


@contextmanager
def store_errors_as_command_error(role: str, advice: str) -> Iterator[None]:
    """Raises CommandError, which ends in ``advice``, when Redis or the database fails within the block."""
    try:
        yield
    except STORE_FAILURES as failure:
        raise CommandError(f"{describe_store_error(failure, role)} {advice}") from failure
