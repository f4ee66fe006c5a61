"""What the regime cache tells the operator console."""

from collections.abc import Mapping

from avo_project.console import Chart, Level, Line, RoleConsole, Verdict
from regime import keys
from regime.freshness import LIFE_SECONDS
from regime.inspection import RegimeInspection
from regime.recent_samples import ROLE, recent_figures

_SILENT_SECONDS = 120.0


def sample() -> Mapping[str, float]:
    """Estimates from random keys, and ages of what our own writers did last."""
    overview = RegimeInspection.connect().overview()
    figures = {
        "states": overview.sample.states_estimated,
        "without_ttl": overview.sample.without_ttl_estimated,
        "collected": overview.pointer.symbols,
        "cycle_age_seconds": overview.cycle_age_seconds,
        "collection_age_seconds": overview.collection_age_seconds,
    }
    return {name: value for name, value in figures.items() if value is not None}


def verdict(now: float) -> Verdict:
    """Red when nothing is current or no sampler knows, amber when a writer forgot the expiry or a cycle is late."""
    standing, figures = RegimeInspection.connect().standing(), recent_figures()
    is_sampled = bool(figures) and now - figures["sampled_at"] < _SILENT_SECONDS
    if standing.cycle_age_seconds is None and not figures.get("states"):
        return Verdict(Level.AMBER, "no states yet", "No cycle has ended and no state was found: run compute_regimes.")
    without_ttl = round(figures.get("without_ttl", 0.0))
    known = f"{without_ttl:,} keys without TTL" if is_sampled else "keys without TTL not counted lately"
    figure = f"{known}, {_cycle_words(standing.cycle_age_seconds)}"
    if standing.cycle_age_seconds is not None and standing.cycle_age_seconds > LIFE_SECONDS:
        return Verdict(Level.RED, figure, "Every state of the last cycle has died: has the pipeline stopped?")
    if is_sampled and without_ttl:
        return Verdict(Level.AMBER, figure, "A writer forgot the expiry: run the TTL backfill.")
    if standing.is_cycle_overdue:
        return Verdict(Level.AMBER, figure, "The next cycle is late: states die 24 h after theirs.")
    if not is_sampled:
        return Verdict(Level.AMBER, figure, "No sampler runs: start a refresher or sample_history --watch.")
    return Verdict(Level.GREEN, figure, "Every state that was looked at expires in time.")


def _cycle_words(age_seconds: float | None) -> str:
    if age_seconds is None:
        return "no cycle of our writers yet"
    minutes = int(age_seconds // 60)
    return f"last cycle {minutes} min ago" if minutes < 120 else f"last cycle {minutes // 60} h ago"


CONSOLE = RoleConsole(
    role=ROLE,
    title="Regime cache",
    alias=keys.REDIS_ALIAS,
    page="regime_regimecache_changelist",
    permission="regime.view_regimecache",
    sample=sample,
    verdict=verdict,
    charts=(
        Chart("States", "states", (Line("states", "kept"), Line("without_ttl", "without expiry"))),
        Chart(
            "Age of what our writers did",
            "seconds",
            (Line("cycle_age_seconds", "last cycle"), Line("collection_age_seconds", "collection")),
        ),
    ),
)
