"""Public interface for event handlers. Importable before Django's app registry is ready.

A handler is a callable that takes one event and succeeds by returning. ``consume_signals --handler`` or
``settings.SIGNALS["HANDLER"]`` names it by its dotted path; a class is instantiated without arguments::

    from signals_app.handlers import Event, RejectError, RetryLaterError

    def handle(event: Event) -> None: ...

With ``@batch_handler`` it takes a list of events, which succeed or fail together. If it raises, the events are passed
to it again one at a time, so that one bad event does not fail the others.
"""

from signals_app.domain.delivery import Handled, RejectError, RetryLaterError, batch_handler
from signals_app.domain.event import Event

__all__ = ["Event", "Handled", "RejectError", "RetryLaterError", "batch_handler"]
