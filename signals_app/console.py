"""What the signal stream tells the operator console."""

from collections.abc import Mapping

from avo_project.console import Chart, Level, Line, RoleConsole, Verdict
from signals_app import inspection, keys
from signals_app.conf import read_conf
from signals_app.lag import GroupFigures, LagLimits, StreamFigures, limits_passed

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
    if idle := [group for group in figures.groups if group.oldest_seconds and not _alive(group)]:
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


def _alive(group: GroupFigures) -> int:
    return sum(one.alive for one in group.consumers)


CONSOLE = RoleConsole(
    role="signals",
    title="Signal stream",
    alias=keys.REDIS_ALIAS,
    page="signals_app_livestream_changelist",
    permission="signals_app.view_livestream",
    sample=sample,
    verdict=verdict,
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
