"""What the signal stream tells the operator console."""

from collections.abc import Iterable, Iterator, Mapping
from uuid import UUID

from avo_project.console.role_console import Answer, Chart, Level, Line, May, RoleConsole, Verdict
from signals_app import keys
from signals_app.conf import read_conf
from signals_app.roles import inspection
from signals_app.roles.event_story import Story, StoryTeller
from signals_app.rules.lag import GroupFigures, LagLimits, StreamFigures, limits_passed

_COUNTED = 400
_SLOW_SECONDS = 60.0


def sample() -> Mapping[str, float]:
    """Sums over the groups, ages of the oldest entry of any."""
    now = inspection.figures(count_up_to=_COUNTED)
    figures: dict[str, float] = {
        "length": now.length,
        "dead": inspection.dead_letter_count(),
        "pending": sum(group.pending for group in now.groups),
        "oldest_pending_seconds": max((group.oldest_pending_seconds or 0.0 for group in now.groups), default=0.0),
        "oldest_undelivered_seconds": max(
            (group.oldest_undelivered_seconds or 0.0 for group in now.groups), default=0.0
        ),
        "consumers_alive": sum(one.alive for group in now.groups for one in group.consumers),
    }
    if all(group.lag is not None for group in now.groups):
        figures["lag"] = sum(group.lag or 0 for group in now.groups)
    if now.added is not None:
        figures["published_total"] = now.added
    return figures


def verdict(now: float) -> Verdict:
    """Red when nobody works on what waits or publishers are refused, amber when it goes too slowly or was given up."""
    figures = inspection.figures(count_up_to=_COUNTED)
    if not figures.groups:
        return Verdict(Level.AMBER, "no group yet", "Nobody has published or consumed anything.")
    worst = max(figures.groups, key=lambda group: group.oldest_seconds)
    figure = _figure(figures)
    if idle := [group for group in figures.groups if _has_work(group) and not _alive(group)]:
        return Verdict(Level.RED, figure, f"{idle[0].name} has work and no living consumer: start consume_signals.")
    if passed := limits_passed(figures, LagLimits(max_length=read_conf().hard_cap)):
        return Verdict(Level.RED if "full" in passed[0] else Level.AMBER, figure, f"{passed[0]}.")
    if worst.oldest_seconds > _SLOW_SECONDS:
        return Verdict(Level.AMBER, figure, f"{worst.name} is {worst.oldest_seconds:.0f} s behind.")
    if not any(_alive(group) for group in figures.groups):
        return Verdict(Level.AMBER, figure, "No consumer lives: nothing waits yet.")
    return Verdict(Level.GREEN, figure, "What is published is handled at once.")


def _figure(figures: StreamFigures) -> str:
    alive = sum(_alive(group) for group in figures.groups)
    oldest = max((group.oldest_undelivered_seconds or 0.0 for group in figures.groups), default=0.0)
    waiting = f"oldest undelivered {oldest:.0f} s" if oldest else "nothing undelivered"
    return f"{alive} consumer{'' if alive == 1 else 's'}, {waiting}"


def _has_work(group: GroupFigures) -> bool:
    return group.pending > 0 or group.oldest_undelivered_seconds is not None


def _alive(group: GroupFigures) -> int:
    return sum(one.alive for one in group.consumers)


def explain(of: str, may: May) -> Iterable[Answer]:
    """What became of a signal, by its id."""
    try:
        signal_id = UUID(of.removeprefix("signal:"))
    except ValueError:
        return ()
    story = StoryTeller.connect().tell(signal_id)
    if not story.is_known:
        return ()
    facts = _facts(story, may("signals_app.view_event_payload"))
    return (Answer("signal", str(signal_id), _headline(story), tuple(_reasons(story)), facts),)


def _headline(story: Story) -> str:
    if story.execution is not None:
        return "is executed on paper, once"
    if story.letter is not None:
        return "was given up and lies with the dead letters"
    if any(reading.holder for reading in story.readings):
        return "is in a consumer's hands"
    return "is published and not executed"


def _reasons(story: Story) -> Iterator[str]:
    if story.entry is None:
        yield "its event is not among the newest entries: trimmed after every group had handled it, or never published"
    for reading in story.readings:
        if reading.holder is not None:
            consumer, deliveries = reading.holder
            yield f"{consumer} of group {reading.group} holds it, delivery {deliveries}, until it is done"
        elif reading.is_delivered:
            yield f"group {reading.group} has handled or passed it"
        else:
            yield f"group {reading.group} has not been given it yet"
    if story.letter is not None:
        yield f"it was given up after {story.letter.deliveries} deliveries: {story.letter.reason}"
    if story.execution is not None:
        yield "a signal id is booked once, however often its event is delivered"


def _facts(story: Story, may_see_payload: bool) -> dict[str, str]:
    facts = {}
    if story.entry is not None:
        facts["entry"] = story.entry.entry_id
        names = ("symbol", "direction", "confidence") if may_see_payload else ("symbol",)
        facts |= {name: story.entry.fields.get(name.encode(), b"").decode(errors="replace") for name in names}
    if story.letter is not None:
        facts["dead letter"] = story.letter.letter_id
    if story.execution is not None:
        facts["executed"] = f"{story.execution.executed_at:%Y-%m-%d %H:%M:%S} UTC"
    return facts


CONSOLE = RoleConsole(
    role="signals",
    title="Signal stream",
    alias=keys.REDIS_ALIAS,
    page="signals_app_livestream_changelist",
    permission="signals_app.view_livestream",
    sample=sample,
    verdict=verdict,
    explain=explain,
    charts=(
        Chart("Behind", "entries", (Line("lag", "not delivered"), Line("pending", "pending"), Line("dead", "dead"))),
        Chart("Published", "a second", (Line("published_total", "published"),)),
        Chart(
            "Oldest entry",
            "seconds",
            (Line("oldest_undelivered_seconds", "not delivered"), Line("oldest_pending_seconds", "pending")),
        ),
    ),
)
