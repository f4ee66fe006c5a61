"""How the console tells of the stream: ages, times, deaths, and the buttons that begin an action."""

from collections.abc import Callable
from datetime import UTC, datetime

from avo_project.durations import duration
from signals_app.rules.entry_id import order
from signals_app.rules.members import Death

HIDDEN = "hidden"
_HANDED_BACK_SECONDS = 1_000_000_000.0

Begin = Callable[..., str]
"""Makes the cell that begins an action: its name, its label, its values."""


def age(seconds: float | None) -> str:
    return "none" if seconds is None else duration(seconds)


def idle_words(seconds: float) -> str:
    """A delivery that was handed back counts as idle since 1970, so that anyone may claim it."""
    return "handed back" if seconds > _HANDED_BACK_SECONDS else duration(seconds)


def held_words(death: Death) -> str:
    if death.held is None:
        return "entries that were not counted"
    return f"{death.held:,} {'entry' if death.held == 1 else 'entries'}" if death.held else "nothing"


def taken_over_words(death: Death) -> str:
    if death.taken_over_seconds_ago is None:
        return "there was nothing to take over" if death.held == 0 else "nobody has taken over yet"
    by = f"a new {death.consumer}" if death.taken_over_by == death.consumer else death.taken_over_by
    return f"taken over by {by} {duration(death.taken_over_seconds_ago)} ago"


def death_words(death: Death) -> str:
    """``c-1 died 14 s ago holding 12 entries; taken over by c-2 3 s ago``."""
    died = f"{death.consumer} died {duration(death.died_seconds_ago)} ago holding {held_words(death)}"
    return f"{died}; {taken_over_words(death)}"


def time_of(entry_id: str) -> str:
    milliseconds = order(entry_id)[0]
    try:
        return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):  # whoever adds an entry may choose its id
        return "unknown"
