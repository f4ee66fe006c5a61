"""What the stream's admin page shows, made of nothing but the inspection."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from avo_project.live_state_admin import Panel
from signals_app import inspection
from signals_app.entry_id import order
from signals_app.event_page import EventQuery
from signals_app.lag import StreamFigures
from signals_app.lag_text import lag_words

_SHOWN = 20
_COUNTED = 400  # one page: a refresh counts no further and shows the server's own estimate beyond


Begin = Callable[..., str]
"""Makes the cell that begins an action: its name, its label, its values."""


def panels(begin: Begin) -> Sequence[Panel]:
    """Groups, consumers, newest events, newest dead letters."""
    figures = inspection.figures(count_up_to=_COUNTED)
    return [_groups(figures), _consumers(figures, begin), _events(figures.length), _dead_letters(begin)]


def _groups(figures: StreamFigures) -> Panel:
    rows = [
        (group.name, group.pending, _age(group.oldest_pending_seconds), lag_words(group),
         _age(group.oldest_undelivered_seconds))
        for group in figures.groups
    ]  # fmt: skip
    columns = ("Group", "Pending", "Oldest pending", "Not delivered", "Oldest not delivered")
    return Panel("Groups", columns, rows, "A healthy group has nothing older than a few seconds.")


def _consumers(figures: StreamFigures, begin: Begin) -> Panel:
    rows = [
        (
            group.name,
            one.name,
            "alive" if one.alive else "no heartbeat",
            one.pending,
            _age(one.idle_seconds),
            begin("claim", "Free…", group=group.name, consumer=one.name) if one.pending and not one.alive else "",
        )
        for group in figures.groups
        for one in group.consumers
    ]
    note = "What a consumer without a heartbeat holds is claimed by the others once it is idle long enough."
    return Panel("Consumers", ("Group", "Consumer", "State", "Pending", "Idle", "Mend"), rows, note)


def _events(length: int) -> Panel:
    rows = [
        (entry_id, _time(entry_id), event.symbol, event.direction, event.confidence, event.signal_id)
        for entry_id, event in inspection.events(EventQuery(limit=_SHOWN)).events
    ]
    columns = ("Entry", "Added", "Symbol", "Direction", "Confidence", "Signal")
    return Panel(f"Newest events of {length}", columns, rows)


def _dead_letters(begin: Begin) -> Panel:
    rows = [
        (letter.letter_id, _time(letter.letter_id), letter.reason, letter.deliveries, letter.shown("symbol"),
         letter.shown("signal_id"), letter.source_id, begin("redrive", "Redrive…", letter_id=letter.letter_id))
        for letter in inspection.newest_dead_letters(_SHOWN)
    ]  # fmt: skip
    columns = ("Letter", "Since", "Reason", "Deliveries", "Symbol", "Signal", "Entry", "Mend")
    return Panel(f"Newest dead letters of {inspection.dead_letter_count()}", columns, rows)


def _age(seconds: float | None) -> str:
    return "none" if seconds is None else f"{seconds:.1f} s"


def _time(entry_id: str) -> str:
    milliseconds = order(entry_id)[0]
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(sep=" ", timespec="seconds")
    except (OverflowError, ValueError, OSError):  # whoever adds an entry may choose its id
        return "unknown"
