"""What the stream's admin page shows, made of nothing but the inspection."""

from collections.abc import Sequence

from avo_project.console.live_state_admin import Panel
from signals_app.admin_cells import Begin, age, time_of
from signals_app.admin_search import Search, entries_panel, pending_panel
from signals_app.roles import inspection
from signals_app.rules.lag import StreamFigures
from signals_app.rules.lag_text import lag_words

_SHOWN = 20
_COUNTED = 400  # one page: a refresh counts no further and shows the server's own estimate beyond


def panels(search: Search, begin: Begin, may_see_payload: bool) -> Sequence[Panel]:
    """Groups, consumers, what is in hand, events, newest dead letters."""
    figures = inspection.figures(count_up_to=_COUNTED)
    return [
        _groups(figures),
        _consumers(figures, begin),
        pending_panel(search, begin),
        entries_panel(search, figures.length, may_see_payload),
        _dead_letters(begin),
    ]


def _groups(figures: StreamFigures) -> Panel:
    rows = [
        (group.name, group.pending, age(group.oldest_pending_seconds), lag_words(group),
         age(group.oldest_undelivered_seconds))
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
            age(one.idle_seconds),
            begin("claim", "Free…", group=group.name, consumer=one.name) if one.pending and not one.alive else "",
        )
        for group in figures.groups
        for one in group.consumers
    ]
    note = "What a consumer without a heartbeat holds is claimed by the others once it is idle long enough."
    return Panel("Consumers", ("Group", "Consumer", "State", "Pending", "Idle", "Mend"), rows, note)


def _dead_letters(begin: Begin) -> Panel:
    rows = [
        (letter.letter_id, time_of(letter.letter_id), letter.reason, letter.deliveries, letter.shown("symbol"),
         letter.shown("signal_id"), letter.source_id, begin("redrive", "Redrive…", letter_id=letter.letter_id))
        for letter in inspection.newest_dead_letters(_SHOWN)
    ]  # fmt: skip
    columns = ("Letter", "Since", "Reason", "Deliveries", "Symbol", "Signal", "Entry", "Mend")
    return Panel(f"Newest dead letters of {inspection.dead_letter_count()}", columns, rows)
