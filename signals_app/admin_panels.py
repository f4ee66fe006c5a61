"""What the stream's admin page shows, made of nothing but the inspection."""

from collections.abc import Sequence

from avo_project.console.live_state_admin import Panel
from avo_project.durations import duration
from signals_app.admin_cells import Begin, age, held_words, taken_over_words, time_of
from signals_app.admin_search import Search, entries_panel, pending_panel
from signals_app.roles import inspection
from signals_app.rules.lag import ConsumerFigures, GroupFigures, StreamFigures
from signals_app.rules.lag_text import lag_words, state_word

_SHOWN = 20


def panels(search: Search, begin: Begin, may_see_payload: bool) -> Sequence[Panel]:
    """Groups, consumers, the dead among them, what is in hand, events, newest dead letters."""
    figures = inspection.glance()
    return [
        _groups(figures),
        _consumers(figures, begin),
        _deaths(figures),
        pending_panel(search, begin, figures.groups),
        entries_panel(search, figures.length, may_see_payload),
        _dead_letters(figures.dead_letters, begin),
    ]


def _groups(figures: StreamFigures) -> Panel:
    rows = [
        (group.name, group.pending, _age(group, group.oldest_pending_seconds), lag_words(group),
         _age(group, group.oldest_undelivered_seconds))
        for group in figures.groups
    ]  # fmt: skip
    columns = ("Group", "Pending", "Oldest pending", "Not delivered", "Oldest not delivered")
    note = "A healthy group has nothing older than a few seconds."
    if not all(group.ages_known for group in figures.groups):
        note += (
            f" Ages and holders are those of the {inspection.MOST_ASKED} groups furthest behind; signal_lag has all."
        )
    return Panel("Groups", columns, rows, note)


def _age(group: GroupFigures, seconds: float | None) -> str:
    return age(seconds) if group.ages_known else "not asked"


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
    note = "What a dead consumer holds is claimed by the others once it is idle long enough."
    if any(group.kind == "external" for group in figures.groups):
        note += " A group of a program that sends no heartbeat is judged by lag and age alone."
    return Panel("Consumers", ("Group", "Consumer", "State", "Pending", "Mend"), rows, note)


def _state(group: GroupFigures, one: ConsumerFigures) -> str:
    is_dead = not one.alive and any(one.name == dead.consumer for dead in group.deaths)
    return "dead" if is_dead else state_word(group, one)


def _deaths(figures: StreamFigures) -> Panel:
    rows = [
        (group.name, one.consumer, f"{duration(one.died_seconds_ago)} ago", held_words(one), taken_over_words(one))
        for group in figures.groups
        for one in group.deaths[:_SHOWN]
    ]
    note = "Who is stopped in good order hands its entries back and is not listed. Of each name the last death is kept."
    return Panel("Consumers that died", ("Group", "Consumer", "Died", "Holding", "Then"), rows, note)


def _dead_letters(count: int, begin: Begin) -> Panel:
    rows = [
        (letter.letter_id, time_of(letter.letter_id), letter.reason, letter.deliveries, letter.shown("symbol"),
         letter.shown("signal_id"), letter.source_id, begin("redrive", "Redrive…", letter_id=letter.letter_id))
        for letter in inspection.newest_dead_letters(_SHOWN)
    ]  # fmt: skip
    columns = ("Letter", "Since", "Reason", "Deliveries", "Symbol", "Signal", "Entry", "Mend")
    return Panel(f"Newest dead letters of {count}", columns, rows)
