"""Tables, histogram and heat map of the regime cache page."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from avo_project.console.live_admin import Panel
from avo_project.lib.formatting import duration
from regime.domain.freshness import OLD_DAYS
from regime.domain.state import REGIMES, TIMEFRAMES
from regime.domain.state_check import utc_text
from regime.services.inspection import KeyspaceStatus, RegimeInspection, StateLookup, recent_figures
from regime.store.ttl_backfill import BackfillRecord

CLOCK = time.time
_DARKEST = 5  # as many shades as console.css has


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the histogram, in the units of the picture: 100 high."""

    hour: int
    count: int
    x: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A state as rows of cells; a cell is its text and how dark it is, 0 to _DARKEST."""

    symbol: str
    freshness: str
    facts: Sequence[tuple[str, str]]
    timeframes: Sequence[str]
    rows: Sequence[tuple[str, Sequence[tuple[str, int]]]]


def panels(inspection: RegimeInspection, begin: Callable[[str, str], str]) -> list[Panel]:
    """The tables, for a handful of commands; ``begin`` makes the button of an action. Raises RedisError."""
    status = inspection.status()
    return [_states_panel(status, begin), _cycle_panel(status), _backfill_panel(inspection.last_backfill())]


def _states_panel(status: KeyspaceStatus, begin: Callable[[str, str], str]) -> Panel:
    figures = recent_figures()
    is_exact = bool(figures.get("is_exact"))
    kind = "" if is_exact else ", estimated"
    rows = [
        (f"States{kind}", _count(figures.get("states")), ""),
        (
            f"States without expiry{kind}",
            _count(figures.get("without_ttl")),
            begin("backfill", "Backfill TTLs…") if figures.get("without_ttl") else "",
        ),
        (
            "Counted",
            f"{utc_text(figures['sampled_at'])}, {'all keys' if is_exact else 'from random keys'}"
            if figures
            else "never: no sampler is running",
            "",
        ),
        ("Symbols in the collection", f"{status.pointer.symbols:,}", ""),
        ("Age of the collection", _age(status.collection_age_seconds), ""),
        ("Keys not served by any route", status.pointer.misnamed_words or "0", ""),
        ("Newest data", status.pointer.newest_data or "unknown", ""),
        (f"States with data older than {OLD_DAYS} days", f"{status.pointer.old_data:,}", ""),
    ]
    note = "Every state must have an expiry."
    if not is_exact:
        note += " The first two figures are one-minute means."
    return Panel("States", (), rows, note)


def _count(estimate: float | None) -> str:
    return "unknown" if estimate is None else f"{estimate:,.0f}"


def _cycle_panel(status: KeyspaceStatus) -> Panel:
    pointer = status.pointer
    overdue = "OVERDUE: check the pipeline" if status.is_cycle_overdue else "on time"
    rows = [
        ("Last cycle", pointer.cycle_id or "none yet"),
        (
            "Ended",
            f"{utc_text(pointer.cycle_ended_at)}, {_age(status.cycle_age_seconds)} ago" if pointer.cycle else "-",
        ),
        ("States written", f"{pointer.cycle_states:,}"),
        ("Schedule", overdue if pointer.cycle else "-"),
    ]
    return Panel("Cycles", (), rows, "States expire 24 hours after computed_at.")


def _backfill_panel(note: BackfillRecord | None) -> Panel:
    if note is None:
        return Panel("Last TTL backfill", (), (), "No backfill in the last 7 days.")
    kind = "dry run, " if note.is_dry_run else ""
    rows = [("State", kind + note.state), ("Updated", utc_text(note.noted_at)), *note.figures.items()]
    return Panel("Last TTL backfill", (), rows, "Shows the progress of a running backfill.")


def histogram(counts: Sequence[int]) -> list[Bar]:
    """Bars for states by hours of age."""
    most = max(counts, default=0) or 1
    heights = [100 * count / most for count in counts]
    return [Bar(hour, counts[hour], 20 * hour, 100 - height, height) for hour, height in enumerate(heights)]


def heat_map(lookup: StateLookup | None) -> HeatMap | None:
    """The scores of a state, a row for each regime and a column for each timeframe."""
    if lookup is None:
        return None
    state, classification = lookup.state, lookup.classification
    rows = [
        (regime, [_cell(state.scores[index * len(REGIMES) + row]) for index in range(len(TIMEFRAMES))])
        for row, regime in enumerate(REGIMES)
    ]
    facts = [
        ("Computed", utc_text(classification.computed_at)),
        ("Age", _age(classification.age_seconds)),
        ("Data through", state.data_through.decode() or "unknown"),
        ("Key expires", utc_text(state.expires_at) if state.expires_at else "never"),
        ("Invalid scores", str(state.bad_fields)),
    ]
    return HeatMap(state.symbol, classification.freshness.value, facts, TIMEFRAMES, rows)


def _cell(score: float | None) -> tuple[str, int]:
    return ("-", 0) if score is None else (f"{score:.2f}", round(_DARKEST * score))


def _age(seconds: float | None) -> str:
    return "-" if seconds is None else duration(seconds)
