"""The signal stream in the operator console: health card, charts and explanations."""

from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

from avo_project.console.registry import Answer, Chart, HasPermission, HealthStatus, Level, Line, RoleConsole
from avo_project.lib.formatting import duration
from signals_app.admin.panels import expired_label
from signals_app.conf import SignalsConf
from signals_app.domain.heartbeats import ExpiredConsumer
from signals_app.domain.lag import BEHIND_SECONDS, GroupFigures, LagLimits, StreamFigures, exceeded_limits
from signals_app.services import inspection
from signals_app.services.samples import SAMPLES
from signals_app.services.trace import Trace, TraceReader

_RECENT_SECONDS = 600.0


def health(now: float) -> HealthStatus:
    """Red when entries wait without a consumer or publishers are refused; amber when a group is slow, a limit is
    exceeded or a consumer has expired in the last minutes. Reads only the group furthest behind in detail."""
    figures = inspection.summary(max_detailed=1)
    if not figures.groups:
        return HealthStatus(Level.AMBER, "no group yet", "No event has been published or consumed.")
    worst = max(figures.groups, key=lambda group: group.oldest_seconds)
    figure, expired_consumers = _figure(figures), _recently_expired(figures.groups)
    if abandoned := [group for group in figures.groups if group.is_abandoned]:
        return HealthStatus(Level.RED, figure, _no_consumer(abandoned[0]))
    conf = SignalsConf.load()
    exceeded = exceeded_limits(figures, LagLimits(max_length=conf.hard_cap, max_dead=conf.dead_cap))
    if exceeded:
        return HealthStatus(Level.RED if exceeded[0].is_rejection else Level.AMBER, figure, f"{exceeded[0]}.")
    if worst.oldest_seconds > BEHIND_SECONDS:
        return HealthStatus(Level.AMBER, figure, f"{worst.name} is {duration(worst.oldest_seconds)} behind.")
    if expired_consumers:
        return HealthStatus(Level.AMBER, figure, f"{expired_label(expired_consumers[0])}.")
    watched = [group for group in figures.groups if group.kind != "external"]
    if watched and not any(group.consumers_alive for group in watched):
        return HealthStatus(Level.AMBER, figure, "No live consumer. No entries are waiting.")
    return HealthStatus(Level.GREEN, figure, "Events are handled as they arrive.")


def _figure(figures: StreamFigures) -> str:
    alive = sum(group.consumers_alive for group in figures.groups)
    oldest = max((group.oldest_undelivered_seconds or 0.0 for group in figures.groups), default=0.0)
    waiting = f"oldest undelivered {duration(oldest)}" if oldest else "nothing undelivered"
    return f"{alive} consumer{'' if alive == 1 else 's'}, {waiting}"


def _recently_expired(groups: Sequence[GroupFigures]) -> list[ExpiredConsumer]:
    expired_consumers = [
        one for group in groups for one in group.expired_consumers if one.expired_seconds_ago < _RECENT_SECONDS
    ]
    return sorted(expired_consumers, key=lambda expired: expired.expired_seconds_ago)


def _no_consumer(group: GroupFigures) -> str:
    last = f"; {expired_label(group.expired_consumers[0])}" if group.expired_consumers else ""
    advice = "start consume_signals" if group.kind == "own" else "start its program"
    return f"{group.name} has waiting entries and no live consumer{last}: {advice}."


def explain(of: str, has_permission: HasPermission) -> Iterable[Answer]:
    """The trace of a signal, by its id."""
    try:
        signal_id = UUID(of.removeprefix("signal:"))
    except ValueError:
        return ()
    trace = TraceReader.connect().read(signal_id)
    if not trace.is_known:
        return ()
    facts = _facts(trace, has_permission("signals_app.view_event_payload"))
    return (Answer("signal", str(signal_id), _headline(trace), tuple(_reasons(trace)), facts),)


def _headline(trace: Trace) -> str:
    if trace.execution is not None:
        return "is executed"
    if trace.letter is not None:
        return "was moved to the dead letters"
    if any(delivery.holder for delivery in trace.deliveries):
        return "is in flight"
    return "is published and not executed"


def _reasons(trace: Trace) -> Iterator[str]:
    if trace.entry is None:
        yield "its event is not among the newest entries: trimmed after every group had handled it, or never published"
    for delivery in trace.deliveries:
        if delivery.holder is not None:
            consumer, deliveries = delivery.holder
            yield f"consumer {consumer} of group {delivery.group} holds it, delivery {deliveries}"
        elif delivery.is_delivered:
            yield f"group {delivery.group} has handled it"
        else:
            yield f"group {delivery.group} has not received it yet"
    if trace.letter is not None:
        yield f"it was dead-lettered after {trace.letter.deliveries} deliveries: {trace.letter.reason}"
    if trace.execution is not None:
        yield "each signal id is executed once, however often its event is delivered"


def _facts(trace: Trace, may_see_payload: bool) -> dict[str, str]:
    facts = {}
    if trace.entry is not None:
        facts["entry"] = trace.entry.entry_id
        names = ("symbol", "direction", "confidence") if may_see_payload else ("symbol",)
        facts |= {name: trace.entry.fields.get(name.encode(), b"").decode(errors="replace") for name in names}
    if trace.letter is not None:
        facts["dead letter"] = trace.letter.letter_id
    if trace.execution is not None:
        facts["executed"] = f"{trace.execution.executed_at:%Y-%m-%d %H:%M:%S} UTC"
    return facts


CONSOLE = RoleConsole(
    samples=SAMPLES,
    title="Signal stream",
    model="signals_app.livestream",
    health=health,
    explain=explain,
    charts=(
        Chart("Backlog", "entries", (Line("lag", "not delivered"), Line("pending", "pending"), Line("dead", "dead"))),
        Chart("Published", "per second", (Line("published_total", "published"),)),
        Chart(
            "Oldest entry",
            "seconds",
            (Line("oldest_undelivered_seconds", "not delivered"), Line("oldest_pending_seconds", "pending")),
        ),
    ),
)
