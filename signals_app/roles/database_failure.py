"""Which errors of a handler are the database's and not the event's: it is gone, locked, or not migrated."""

from django.db import DatabaseError, InterfaceError, InternalError, OperationalError, ProgrammingError, connections
from django.db.transaction import TransactionManagementError

_OF_THE_DATABASE = (OperationalError, InterfaceError, ProgrammingError, InternalError)


def is_of_the_database(error: Exception) -> bool:
    """A missing table is a programming error to PostgreSQL and an operational one to SQLite, which calls a broken
    file by the plain base class. Django's own errors of these classes are a handler's."""
    if isinstance(error, TransactionManagementError):
        return False
    return isinstance(error, _OF_THE_DATABASE) or (type(error) is DatabaseError and error.__cause__ is not None)


def drop_broken_connections() -> None:
    """The next query connects anew. A connection in a transaction is left to whoever began it."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
