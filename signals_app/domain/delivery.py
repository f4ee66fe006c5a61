"""A delivery of an event to a consumer, what its handler may answer, and the retry policy that decides what follows a
failed one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from avo_project.lib.backoff import exponential_seconds
from signals_app.domain.names import check_range

_Handler = TypeVar("_Handler", bound=Callable[..., Any])

MAX_DELIVERIES = 1_000_000
_MAX_SECONDS = 86_400
_MAX_FACTOR = 100


class Delivery(NamedTuple):
    """``deliveries`` is the delivery count of the entry, this one included; ``fields`` are its raw bytes: field, value,
    field, value … A named tuple because a consumer makes a hundred thousand a second."""

    entry_id: str
    fields: Sequence[bytes]
    deliveries: int = 1


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


@dataclass(frozen=True, slots=True)
class MoveToDeadLetters:
    """The entry is moved to the dead letters with this ``reason``."""

    reason: str


@dataclass(frozen=True, slots=True)
class DeliverAgain:
    """The entry is redelivered to the same consumer after ``after_seconds``."""

    after_seconds: float


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential back-off: ``base_seconds * factor ** (n - 1)`` after the n-th failed delivery, at most
    ``cap_seconds``; dead-lettered after ``max_deliveries``. Raises ValueError for a value out of range."""

    max_deliveries: int = 5
    base_seconds: float = 0.5
    factor: float = 2.0
    cap_seconds: float = 60.0

    def __post_init__(self) -> None:
        check_range("MAX_DELIVERIES", self.max_deliveries, 1, MAX_DELIVERIES)
        check_range("RETRY_BASE_SECONDS", self.base_seconds, 0, _MAX_SECONDS)
        check_range("RETRY_FACTOR", self.factor, 1, _MAX_FACTOR)
        check_range("RETRY_CAP_SECONDS", self.cap_seconds, 0, _MAX_SECONDS)

    def check_deliveries(self, deliveries: int) -> MoveToDeadLetters | None:
        """Decides before the handler runs, so that an event that crashes its consumer is counted as well."""
        if deliveries <= self.max_deliveries:
            return None
        return MoveToDeadLetters(f"too-many-deliveries: delivered {deliveries} times, {self.max_deliveries} at most")

    def after_failure(self, failure: Exception, deliveries: int) -> MoveToDeadLetters | DeliverAgain:
        """What follows a delivery, the ``deliveries``-th of its entry, whose handler raised ``failure``."""
        if isinstance(failure, RejectError):
            return MoveToDeadLetters(f"rejected: {failure}")
        if isinstance(failure, RetryLaterError) and failure.after_seconds is not None:
            return DeliverAgain(failure.after_seconds)
        return DeliverAgain(self.delay_seconds(deliveries))

    def delay_seconds(self, deliveries: int) -> float:
        return exponential_seconds(deliveries, self.base_seconds, self.cap_seconds, self.factor)
