"""Panels of the live stream page: entries, groups, pending deliveries and dead letters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from django.http import QueryDict
from django.utils.html import format_html

from avo_project.console.live_admin import Panel
from avo_project.lib.formatting import duration
from signals_app import keys
from signals_app.domain.entry import order
from signals_app.domain.heartbeats import ExpiredConsumer
from signals_app.domain.lag import ConsumerFigures, GroupFigures, StreamFigures, lag_label, state_label
from signals_app.services import inspection
from signals_app.services.event_page import EventQuery
from signals_app.store.pending import PendingDelivery

HIDDEN = "hidden"
_RELEASED_SECONDS = 1_000_000_000.0

Begin = Callable[..., str]
"""Renders the button of an action: name, label, values."""


def age(seconds: float | None) -> str:
    return "none" if seconds is None else duration(seconds)


def idle_label(seconds: float) -> str:
    """A released delivery has been idle since 1970, so that any consumer can claim it."""
    return "released" if seconds > _RELEASED_SECONDS else duration(seconds)


def held_label(expired: ExpiredConsumer) -> str:
    if expired.held is None:
        return "an unknown number of entries"
    return f"{expired.held:,} {'entry' if expired.held == 1 else 'entries'}" if expired.held else "nothing"


def taken_over_label(expired: ExpiredConsumer) -> str:
    if expired.taken_over_seconds_ago is None:
        return "nothing to take over" if expired.held == 0 else "not taken over yet"
    by = f"a new {expired.consumer}" if expired.taken_over_by == expired.consumer else expired.taken_over_by
    return f"taken over by {by} {duration(expired.taken_over_seconds_ago)} ago"


def expired_label(expired: ExpiredConsumer) -> str:
    """``c-1 expired 14 s ago holding 12 entries; taken over by c-2 3 s ago``."""
    held = f"{expired.consumer} expired {duration(expired.expired_seconds_ago)} ago holding {held_label(expired)}"
    return f"{held}; {taken_over_label(expired)}"


def time_of(entry_id: str) -> str:
    milliseconds = order(entry_id)[0]
    try:
        return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):  # publishers may choose any id
        return "unknown"


_SHOWN = 20
_PAGE_SIZE = 200
_MAX_READ = 5_000


@dataclass(frozen=True, slots=True)
class Search:
    """Query of the page. ``text`` is an entry id, a signal id or a symbol; ``older`` and ``later`` are the cursors of
    the events and of the pending deliveries."""

    text: str = ""
    group: str = keys.DEFAULT_GROUP
    consumer: str = ""
    older: str = ""
    later: str = "0-0"

    @classmethod
    def of(cls, asked: QueryDict) -> "Search":
        """Invalid values are ignored."""
        given = {name: asked.get(name, "").strip()[:80] for name in cls.__slots__}
        for name in ("older", "later"):
            if not _is_entry_id(given[name]):
                given[name] = ""
        return cls(**{name: value for name, value in given.items() if value})

    def link(self, label: str, **changes: str) -> str:
        asked = {name: getattr(self, name) for name in self.__slots__} | changes
        return format_html('<a href="?{}">{}</a>', urlencode(asked), label)

    def matches(self, one: PendingDelivery) -> bool:
        return not self.text or self.text in (one.entry_id, one.signal_id) or self.text.upper() == one.symbol.upper()


def entries_panel(search: Search, length: int, may_see_payload: bool) -> Panel:
    """The newest events that match the search."""
    page = inspection.events_with(search.text, EventQuery(limit=_SHOWN, before=search.older, max_read=_MAX_READ))
    rows = [
        (
            entry_id,
            time_of(entry_id),
            event.symbol,
            event.direction if may_see_payload else HIDDEN,
            event.confidence if may_see_payload else HIDDEN,
            event.signal_id,
        )
        for entry_id, event in page.events
    ]
    title = f"Events with {search.text}" if search.text else f"Newest events of {length}"
    older = search.link("Older", older=page.next_before) if page.next_before else "No older events."
    columns = ("Entry", "Added", "Symbol", "Direction", "Confidence", "Signal")
    return Panel(title, columns, rows, older)


def pending_panel(search: Search, begin: Begin, groups: Sequence[GroupFigures]) -> Panel:
    """A page of the pending deliveries of the group that match the search."""
    group = next((one for one in groups if one.name == search.group), None)
    page = inspection.pending(search.group, after=search.later, count=_PAGE_SIZE, consumer=search.consumer)
    found = [one for one in page if search.matches(one)]
    rows = [_pending_row(search.group, one, begin, group) for one in found[:_SHOWN]]
    if len(found) > _SHOWN:
        later = search.link("Later", later=found[_SHOWN - 1].entry_id)
    else:
        later = search.link("Later", later=page[-1].entry_id) if len(page) == _PAGE_SIZE else "No later deliveries."
    columns = ("Entry", "Added", "Consumer", "Idle", "Deliveries", "Symbol", "Signal", "Actions", "")
    return Panel(f"Pending in {search.group}", columns, rows, later)


def _pending_row(group_name: str, one: PendingDelivery, begin: Begin, group: GroupFigures | None) -> tuple[object, ...]:
    given = {"group": group_name, "entry_id": one.entry_id}
    actions = ("", "")
    if group is None or not group.is_in_use_elsewhere(one.consumer):
        actions = (
            begin("acknowledge", "Acknowledge…", **given),
            begin("move_to_dead_letters", "Move to dead letters…", **given),
        )
    return (
        one.entry_id, time_of(one.entry_id), one.consumer, idle_label(one.idle_seconds), one.deliveries, one.symbol,
        one.signal_id, *actions,
    )  # fmt: skip


def _is_entry_id(text: str) -> bool:
    try:
        order(text)
    except ValueError:
        return False
    return True


def panels(search: Search, begin: Begin, may_see_payload: bool) -> Sequence[Panel]:
    """Groups, consumers, expired consumers, pending deliveries, events, newest dead letters."""
    figures = inspection.summary()
    return [
        _groups(figures),
        _consumers(figures, begin),
        _expired_consumers(figures),
        pending_panel(search, begin, figures.groups),
        entries_panel(search, figures.length, may_see_payload),
        _dead_letters(figures.dead_letters, begin),
    ]


def _groups(figures: StreamFigures) -> Panel:
    rows = [
        (group.name, group.pending, _age(group, group.oldest_pending_seconds), lag_label(group),
         _age(group, group.oldest_undelivered_seconds))
        for group in figures.groups
    ]  # fmt: skip
    columns = ("Group", "Pending", "Oldest pending", "Not delivered", "Oldest not delivered")
    note = "The entries of a healthy group are no older than a few seconds."
    if not all(group.ages_known for group in figures.groups):
        shown = inspection.MAX_DETAILED
        note += f" Ages and holders are shown for the {shown} groups furthest behind; see signal_lag for all."
    return Panel("Groups", columns, rows, note)


def _age(group: GroupFigures, seconds: float | None) -> str:
    return age(seconds) if group.ages_known else "not read"


def _consumers(figures: StreamFigures, begin: Begin) -> Panel:
    rows = [
        (
            group.name,
            one.name,
            _state(group, one),
            one.pending,
            begin("claim", "Free…", group=group.name, consumer=one.name) if group.may_be_freed(one) else "",
        )
        for group in figures.groups
        for one in group.consumers
    ]
    note = "Entries of an expired consumer are claimed by the others once they are idle long enough."
    if any(group.kind == "external" for group in figures.groups):
        note += " Groups of programs without heartbeats are monitored by lag and age alone."
    return Panel("Consumers", ("Group", "Consumer", "State", "Pending", "Actions"), rows, note)


def _state(group: GroupFigures, one: ConsumerFigures) -> str:
    is_expired = not one.alive and any(one.name == expired.consumer for expired in group.expired_consumers)
    return "expired" if is_expired else state_label(group, one)


def _expired_consumers(figures: StreamFigures) -> Panel:
    rows = [
        (group.name, one.consumer, f"{duration(one.expired_seconds_ago)} ago", held_label(one), taken_over_label(one))
        for group in figures.groups
        for one in group.expired_consumers[:_SHOWN]
    ]
    note = "Consumers that shut down gracefully release their entries and are not listed. One record is kept per name."
    return Panel("Expired consumers", ("Group", "Consumer", "Expired", "Held", "Taken over"), rows, note)


def _dead_letters(count: int, begin: Begin) -> Panel:
    rows = [
        (letter.letter_id, time_of(letter.letter_id), letter.reason, letter.deliveries, letter.shown("symbol"),
         letter.shown("signal_id"), letter.source_id, begin("redrive", "Redrive…", letter_id=letter.letter_id))
        for letter in inspection.newest_dead_letters(_SHOWN)
    ]  # fmt: skip
    columns = ("Letter", "Added", "Reason", "Deliveries", "Symbol", "Signal", "Entry", "Actions")
    return Panel(f"Newest dead letters of {count}", columns, rows)
