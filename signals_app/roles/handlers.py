"""The handlers that come with the app."""

from collections.abc import Callable, Sequence
from datetime import datetime

from django.db import connections, router, transaction
from django.utils import timezone

from signals_app.models import Execution
from signals_app.roles.handling import Handled, batch_handler
from signals_app.rules.event import Event

_BOOK = """
    INSERT INTO signals_app_execution (signal_id, symbol, direction, confidence, executed_at)
    VALUES (%s, %s, %s, %s, %s) ON CONFLICT (signal_id) DO NOTHING
"""


class PaperExecutor:
    """Books one ``Execution`` row per ``signal_id``: a batch in one transaction, duplicates left out and counted.

    The database decides what is a duplicate, so two consumers with the same event cannot both book it.
    Raises what the database raises when it is down, locked or not migrated: whoever calls handlers tells it apart.
    """

    takes_batch = True

    def __init__(self, now: Callable[[], datetime] = timezone.now) -> None:
        self._now = now

    def __call__(self, events: Sequence[Event]) -> Handled:
        database = router.db_for_write(Execution)
        executed = self._insert(database, events)
        return Handled(executed, duplicates=len(events) - executed)

    def _insert(self, database: str, events: Sequence[Event]) -> int:
        connection = connections[database]
        is_native = connection.features.has_native_uuid_field
        executed_at = connection.ops.adapt_datetimefield_value(self._now())
        rows = [
            (
                e.signal_id if is_native else e.signal_id.replace("-", ""),
                e.symbol,
                e.direction,
                e.confidence,
                executed_at,
            )
            for e in events
        ]
        with transaction.atomic(using=database), connection.cursor() as cursor:
            cursor.executemany(_BOOK, rows)
            return int(cursor.rowcount)


book_executions = PaperExecutor()


@batch_handler
def ignore(events: Sequence[Event]) -> None:
    """Does nothing: for measuring, and for groups that only need to be acknowledged."""
