"""What a handler of events is, and how it says that something went wrong.

A handler is any callable named by a dotted path. It gets one event and has succeeded when it returns::

    def handle(event: Event) -> None: ...

Decorated with ``batch_handler`` it gets a list instead, all of which succeed together or not at all; when it
raises, the events are handed to it again one by one, so that one bad event cannot hold up the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import Error as DjangoError
from django.utils.module_loading import import_string

from avo_project.store_failures import is_of_the_database
from signals_app.roles.database_failure import drop_broken_connections
from signals_app.rules.delivery import Bury, DeliverAgain, retry_after_seconds
from signals_app.rules.event import Event

Verdict = Bury | DeliverAgain


@dataclass(frozen=True, slots=True)
class Handled:
    """What a handler may return to have duplicates counted as such."""

    executed: int
    duplicates: int = 0


Handle = Callable[[Sequence[Event]], Handled]
_Callable = TypeVar("_Callable", bound=Callable[..., Any])


class RetryLaterError(Exception):
    """The event cannot be handled now. It is delivered again after ``after_seconds``, or the usual back-off."""

    def __init__(self, why: str = "", after_seconds: float | None = None) -> None:
        super().__init__(why or "not now")
        self.after_seconds = after_seconds


class RejectError(Exception):
    """The event can never be handled. It goes to the dead letters with this reason."""


class UnavailableError(Exception):
    """What the handler needs is down, whatever the event. The consumer waits and tries the same deliveries again,
    which does not count as another delivery. Raised for a handler whose Django database is gone or not migrated."""


def batch_handler(handler: _Callable) -> _Callable:
    """Marks a handler that takes a list of events."""
    handler.takes_batch = True  # type: ignore[attr-defined]
    return handler


@dataclass(frozen=True, slots=True)
class LoadedHandler:
    """A handler ready to be called with any number of events if ``takes_batch``, else with one."""

    takes_batch: bool
    call: Callable[[Any], Handled | None]

    def handle(self, events: Sequence[Event]) -> Handled:
        """Raises whatever the handler raises, but UnavailableError for a failure of Django's database."""
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
    """The handler at a dotted path; a class is instantiated first. Raises ImportError or TypeError with the path."""
    found = import_string(dotted_path)
    handler = found() if isinstance(found, type) else found
    if not callable(handler):
        raise TypeError(f"{dotted_path} cannot be called, so it is no handler")
    return LoadedHandler(bool(getattr(handler, "takes_batch", False)), handler)


def verdict_on(failure: Exception, deliveries: int) -> Verdict:
    """What becomes of one delivery whose handler raised ``failure``."""
    if isinstance(failure, RejectError):
        return Bury(f"rejected: {failure}")
    if isinstance(failure, RetryLaterError) and failure.after_seconds is not None:
        return DeliverAgain(failure.after_seconds)
    return DeliverAgain(retry_after_seconds(deliveries))
