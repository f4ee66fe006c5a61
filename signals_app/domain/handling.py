"""The interface between a consumer and its event handler: results and exceptions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

_Handler = TypeVar("_Handler", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Handled:
    """Optional return value of a handler: how many of its events were ``executed`` and how many were ``duplicates``."""

    executed: int
    duplicates: int = 0


class RetryLaterError(Exception):
    """Raised by a handler for an event that cannot be handled now. The event is redelivered after ``after_seconds``;
    without it, after the delay of the retry policy."""

    def __init__(self, why: str = "", after_seconds: float | None = None) -> None:
        super().__init__(why or "not now")
        self.after_seconds = after_seconds


class RejectError(Exception):
    """Raised by a handler for an event that can never be handled. The event is dead-lettered with this reason."""


class UnavailableError(Exception):
    """Raised when a dependency of the handler is down, whatever the event. The consumer waits and retries the same
    deliveries; these attempts do not count as deliveries. Failures of Django's database raise it automatically."""


def batch_handler(handler: _Handler) -> _Handler:
    """Decorator for a handler that takes a list of events and succeeds or fails as a whole."""
    handler.takes_batch = True  # type: ignore[attr-defined]
    return handler
