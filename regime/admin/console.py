"""The operator console of the regime cache: health status, charts and the answers of ``explain``."""

import time
from collections.abc import Iterable, Iterator

from avo_project.console.registry import Answer, Chart, HasPermission, HealthStatus, Level, Line, RoleConsole
from avo_project.lib.formatting import duration
from regime import keys
from regime.domain.freshness import LIFE_SECONDS, OLD_DAYS, Freshness
from regime.domain.state import SymbolError, valid_symbol
from regime.domain.state_check import HeldKey, findings, utc_text
from regime.services.inspection import RegimeInspection, StateLookup, recent_figures
from regime.services.samples import SAMPLES
from regime.store.collection_store import Pointer

_SILENT_SECONDS = 120.0
_PREFIX = "symbol:"
_KEY_PREFIX = keys.STATE_PATTERN[:-1]
_LONGEST_NAME = 200
_MISSING = (
    "no state is stored, so the API answers 404",
    "it was never written, or its key expired 24 hours after the last write",
)
_RULES = {
    Freshness.CURRENT: "a state younger than 24 hours is current",
    Freshness.EXPIRED: "states expire 24 hours after computed_at, whatever the expiry of their key",
    Freshness.UNKNOWN_AGE: "a state of unknown age is never current; write it again",
    Freshness.FUTURE_STAMP: "a computed_at more than 5 minutes in the future is not trusted",
}


def health(now: float) -> HealthStatus:
    """Red when nothing is current or no sampler knows, amber when a writer forgot the expiry or a cycle is late."""
    status, figures = RegimeInspection.connect().status(), recent_figures()
    is_sampled = bool(figures) and now - figures["sampled_at"] < _SILENT_SECONDS
    if status.cycle_age_seconds is None and not figures.get("states"):
        return HealthStatus(
            Level.AMBER, "no states yet", "No cycle has ended and no state was found. Run compute_regimes."
        )
    without_ttl = round(figures.get("without_ttl", 0.0))
    known = f"{without_ttl:,} keys without TTL" if is_sampled else "keys without TTL not counted lately"
    figure = f"{known}, {_cycle_words(status.cycle_age_seconds)}"
    if status.cycle_age_seconds is not None and status.cycle_age_seconds > LIFE_SECONDS:
        return HealthStatus(
            Level.RED, figure, "All states of the last cycle have expired. Check that the pipeline runs."
        )
    if is_sampled and without_ttl:
        return HealthStatus(Level.AMBER, figure, "Some states have no expiry. Run the TTL backfill.")
    if status.is_cycle_overdue:
        return HealthStatus(Level.AMBER, figure, "The next cycle is overdue. States expire 24 hours after their cycle.")
    if status.pointer.misnamed:
        return HealthStatus(Level.AMBER, figure, f"No route serves {status.pointer.misnamed_words}.")
    if status.has_old_data:
        return HealthStatus(Level.AMBER, figure, _old_data_words(status.pointer))
    if not is_sampled:
        return HealthStatus(
            Level.AMBER,
            figure,
            "No sampler is running. Start refresh_regime_collection --watch or sample_history --watch.",
        )
    return HealthStatus(Level.GREEN, figure, "All sampled states have a valid TTL.")


def _old_data_words(pointer: Pointer) -> str:
    return (
        f"The data of {pointer.old_data:,} of {pointer.symbols:,} states ended more than {OLD_DAYS} days ago "
        f"(newest data_through: {pointer.newest_data}). Compute them from newer data."
    )


def _cycle_words(age_seconds: float | None) -> str:
    if age_seconds is None:
        return "no cycle yet"
    return f"last cycle {duration(age_seconds)} ago"


def explain(of: str, has_permission: HasPermission) -> Iterable[Answer]:
    """Whether a symbol is served as current, and why. ``symbol:`` before it asks even for what is not kept."""
    named = of.removeprefix(_PREFIX).removeprefix(_KEY_PREFIX)
    inspection = RegimeInspection.connect()
    misnamed = inspection.misnamed(named) if len(named) <= _LONGEST_NAME else None
    others = () if misnamed is None else (_misnamed_answer(misnamed),)
    try:
        symbol = valid_symbol(named)
    except SymbolError:
        return others
    lookup = inspection.look_up(symbol)
    if lookup is not None:
        return (_answer(lookup), *others)
    if not others and (misnamed := inspection.misnamed(symbol.lower())):
        others = (_misnamed_answer(misnamed),)
    return others or ((Answer("symbol", symbol, _MISSING[0], _MISSING[1:]),) if of != named else ())


def _misnamed_answer(held: HeldKey) -> Answer:
    because = tuple(one.text for one in findings(held, time.time()) if one.is_error)
    return Answer(
        "key", _KEY_PREFIX + held.name.decode(errors="backslashreplace"), "is not served by any route", because
    )


def _answer(lookup: StateLookup) -> Answer:
    state, classified = lookup.state, lookup.classification
    facts = {
        "computed": utc_text(classified.computed_at),
        "age": "unknown" if classified.age_seconds is None else duration(classified.age_seconds),
        "data through": state.data_through.decode() or "unknown",
        "key expires": utc_text(state.expires_at) if state.expires_at else "never",
        "backfilled": utc_text(state.backfilled_at) if state.backfilled_at else "no",
        "scores": f"{sum(score is not None for score in state.scores)} of {len(state.scores)}",
        "invalid scores": str(state.bad_fields),
    }
    headline = (
        "is served as current" if classified.is_current else f"is not served as current: {classified.freshness.value}"
    )
    return Answer("symbol", state.symbol, headline, tuple(_reasons(lookup)), facts)


def _reasons(lookup: StateLookup) -> Iterator[str]:
    state, classified = lookup.state, lookup.classification
    if state.computed_at is not None and classified.computed_at is not None:
        yield "its writer set computed_at"
    elif state.computed_at is not None:
        yield "its computed_at is not a number, so its age is unknown"
    elif classified.computed_at is not None:
        yield "it has no computed_at; its age follows from its expiry, which its writer set to 24 hours"
    elif state.expires_at is None:
        yield "it has neither computed_at nor an expiry; the TTL backfill sets one"
    else:
        yield "it has no computed_at, and a backfill set its expiry, so its age is unknown"
    yield _RULES[classified.freshness]


CONSOLE = RoleConsole(
    samples=SAMPLES,
    title="Regime cache",
    model="regime.regimecache",
    health=health,
    explain=explain,
    charts=(
        Chart("States", "states", (Line("states", "stored"), Line("without_ttl", "without expiry"))),
        Chart(
            "Age of the last cycle and of the collection",
            "seconds",
            (Line("cycle_age_seconds", "last cycle"), Line("collection_age_seconds", "collection")),
        ),
    ),
)
