"""What a consumer does about a database that failed."""

from django.db import connections


def drop_broken_connections() -> None:
    """The next query connects anew. A connection in a transaction is left to whoever began it."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
