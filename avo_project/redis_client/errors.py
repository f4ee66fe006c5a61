"""Which failures are a store's, and what a command says of them: one line that tells whose it is and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError
from django.db import DatabaseError, InterfaceError, InternalError, OperationalError, ProgrammingError
from django.db import Error as DatabaseFailure
from django.db.transaction import TransactionManagementError
from redis.exceptions import RedisClusterException, RedisError

from avo_project.lib.redaction import redacted

REDIS_FAILURES = (RedisError, RedisClusterException)  # the second is none of the first
STORE_FAILURES = (*REDIS_FAILURES, DatabaseFailure)
_OF_THE_DATABASE = (OperationalError, InterfaceError, ProgrammingError, InternalError)


def is_of_the_database(error: BaseException | None) -> bool:
    """Whether the database is at fault (gone, full, locked, broken, not migrated) and not what it was asked.

    A missing table is a programming error to PostgreSQL and an operational one to SQLite, which calls a broken
    file by the plain base class. Django's own errors of these classes are the caller's.
    """
    if isinstance(error, TransactionManagementError):
        return False
    return isinstance(error, _OF_THE_DATABASE) or (type(error) is DatabaseError and error.__cause__ is not None)


def describe_store_error(failure: Exception, role: str) -> str:
    """The failure in one line without secrets, and whose it is: the database's, or the Redis of the role's."""
    lines = redacted(str(failure)).strip().splitlines() or [type(failure).__name__]
    whose = "the database" if isinstance(failure, DatabaseFailure) else f"the Redis of the role {role}"
    return f"{whose} failed: {lines[0].rstrip('.')}."


@contextmanager
def store_errors_as_command_error(role: str, advice: str) -> Iterator[None]:
    """Raises CommandError, with ``advice`` at its end, when Redis or the database fails within the block."""
    try:
        yield
    except STORE_FAILURES as failure:
        raise CommandError(f"{describe_store_error(failure, role)} {advice}") from failure
