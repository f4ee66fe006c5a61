"""Cells of the stream's admin page: ages, times, and the buttons that begin an action."""

from collections.abc import Callable
from datetime import UTC, datetime

from signals_app.rules.entry_id import order

HIDDEN = "hidden"

Begin = Callable[..., str]
"""Makes the cell that begins an action: its name, its label, its values."""


def age(seconds: float | None) -> str:
    return "none" if seconds is None else f"{seconds:.1f} s"


def time_of(entry_id: str) -> str:
    milliseconds = order(entry_id)[0]
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(sep=" ", timespec="seconds")
    except (OverflowError, ValueError, OSError):  # whoever adds an entry may choose its id
        return "unknown"
