"""Read-only access to the live stream for the admin, metrics, the API and the commands."""

from signals_app.domain.lag import ExceededLimit, GroupFigures, LagLimits, StreamFigures, exceeded_limits
from signals_app.services.event_page import EventPage, EventQuery, find, read_page
from signals_app.store.dead_letters import DeadLetter, DeadLetters
from signals_app.store.pending import PendingDeliveries, PendingDelivery
from signals_app.store.stream import SignalStream
from signals_app.store.stream_figures import MAX_DETAILED, FiguresReader, StreamSummary

__all__ = [
    "MAX_DETAILED",
    "GroupFigures",
    "dead_letter_count",
    "events",
    "events_with",
    "exceeded",
    "figures",
    "newest_dead_letters",
    "pending",
    "summary",
]  # fmt: skip


def figures(*, count_up_to: int = 10_000) -> StreamFigures:
    """The stream and its groups as they are now."""
    return FiguresReader.connect(count_up_to=count_up_to).read()


def summary(*, max_detailed: int = MAX_DETAILED) -> StreamFigures:
    """A cheaper overview for frequent polling: lag is not counted, and ``max_detailed`` groups are read in detail.
    Costs eight commands, and three for each of those groups."""
    return StreamSummary.connect(max_detailed=max_detailed).read()


def exceeded(limits: LagLimits) -> tuple[StreamFigures, list[ExceededLimit]]:
    """The figures, with lag counted as far as the limits require, and the exceeded limits."""
    now = figures(count_up_to=max(10_000, (limits.max_lag or 0) + 1))
    return now, exceeded_limits(now, limits)


def events(query: EventQuery) -> EventPage:
    """Newest first."""
    return read_page(SignalStream.connect(), query)


def events_with(text: str, query: EventQuery) -> EventPage:
    """Events with ``text`` as entry id, signal id or symbol, newest first; an empty text matches all."""
    return find(SignalStream.connect(), text, query)


def pending(group: str, *, after: str, count: int, consumer: str = "") -> list[PendingDelivery]:
    """A page of the pending deliveries of the group, or of one consumer, oldest first, after an entry id."""
    return PendingDeliveries.connect().page(group, after=after, count=count, consumer=consumer)


def dead_letter_count() -> int:
    """The number of dead letters."""
    return DeadLetters.connect().length()


def newest_dead_letters(count: int) -> list[DeadLetter]:
    """At most ``count``, newest first."""
    return DeadLetters.connect().newest_first(count)
