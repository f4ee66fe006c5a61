"""Loading and calling event handlers, and the handlers that come with the app.

``book_executions`` is the default; ``ignore`` acknowledges events without any effect. The interface for handler authors
is ``signals_app.handlers``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import Error as DjangoError
from django.db import connections, router, transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from avo_project.redis_client.errors import is_of_the_database
from signals_app.domain.delivery import Handled, UnavailableError, batch_handler
from signals_app.domain.event import Event
from signals_app.models import Execution

_FORMER_MODULE, _MODULE = "signals_app.roles.handlers.", "signals_app.services.handling."


@dataclass(frozen=True, slots=True)
class LoadedHandler:
    """An imported handler; it is called with a list of events if ``takes_batch``, else with one event."""

    takes_batch: bool
    call: Callable[[Any], Handled | None]

    def handle(self, events: Sequence[Event]) -> Handled:
        """Call the handler. Its exceptions propagate; a failure of Django's database becomes UnavailableError."""
        try:
            result = self.call(list(events) if self.takes_batch else events[0])
        except DjangoError as error:
            if not is_of_the_database(error):
                raise
            drop_broken_connections()
            first_line = str(error).partition("\n")[0]
            raise UnavailableError(f"the database is unavailable: {first_line}") from error
        return result if isinstance(result, Handled) else Handled(executed=len(events))


def load_handler(dotted_path: str) -> LoadedHandler:
    """Import the handler at a dotted path; a class is instantiated. Raises ImportError or TypeError with the path."""
    if dotted_path.startswith(_FORMER_MODULE):
        raise ImportError(f"{dotted_path} has moved; use {_MODULE}{dotted_path.removeprefix(_FORMER_MODULE)}")
    found = import_string(dotted_path)
    handler = found() if isinstance(found, type) else found
    if not callable(handler):
        raise TypeError(f"{dotted_path} cannot be called, so it is not a handler")
    return LoadedHandler(bool(getattr(handler, "takes_batch", False)), handler)


def drop_broken_connections() -> None:
    """Close unusable connections, so that the next query reconnects. Connections in a transaction are kept."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


_BOOK = """
    INSERT INTO signals_app_execution (signal_id, symbol, direction, confidence, executed_at)
    VALUES (%s, %s, %s, %s, %s) ON CONFLICT (signal_id) DO NOTHING
"""


class PaperExecutor:
    """The default handler: inserts one ``Execution`` row per ``signal_id``, a batch in one transaction.

    A unique column finds duplicates, so two consumers with the same event cannot both insert it. Database errors
    propagate; LoadedHandler classifies them.
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
    """Acknowledges events without any effect, for benchmarks and for groups that are only drained."""
