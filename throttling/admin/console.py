"""The throttling app in the operator console: health, explanations and charts."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from avo_project.console.registry import Answer, Chart, HasPermission, HealthStatus, Level, Line, RoleConsole
from avo_project.lib.formatting import duration
from throttling.domain.subjects import normal
from throttling.services.inspection import Inspection, window_stats
from throttling.services.samples import SAMPLES

_MAX_SUBJECTS = 1_000
_MANY_REJECTED = 0.2


def health(now: float) -> HealthStatus:
    """Amber when more than a fifth of the recent requests is rejected. The console reports an unavailable Redis."""
    inspection = Inspection.connect()
    rejected, asked = inspection.most_rejected(_MAX_SUBJECTS), sum(one.requests for one in inspection.busiest())
    rejected_requests = sum(one.requests for one in rejected)
    figure = f"{rejected_requests:,} rejected recently"
    if rejected:
        level = Level.AMBER if rejected_requests > _MANY_REJECTED * asked else Level.GREEN
        who, tier = rejected[0].subject, rejected[0].tier
        return HealthStatus(level, figure, f"Most rejections: {who}, tier {tier}.", _found(who))
    return HealthStatus(Level.GREEN, figure, "Limits are exact." if asked else "No recent requests.")


def _found(subject: str) -> str:
    return f"?{urlencode({'subject': subject})}#subject"


def explain(of: str, has_permission: HasPermission) -> Iterable[Answer]:
    """Explains the limits of a subject, and whether its requests are rejected."""
    try:
        subject = normal(of)
    except ValueError:
        return ()
    view = Inspection.connect().subject(subject)
    held = zip(view.outcome.hit.policies, view.outcome.remaining(), strict=True)
    spent = [policy for policy, left in held if left == 0 and not policy.shadow]
    because = [f"its tier is {view.tier}: {view.why}"]
    because += [f"it has used all {one.limit} of its {one.name} window" for one in spent]
    if spent:
        because.append("rejected requests are not charged; units return as the window moves on")
    headline = "is over its limit" if spent else "is within its limits"
    return (Answer("subject", subject, headline, because, _facts(window_stats(view.outcome))),)


def _facts(entries: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {f"{entry['name']} window": _fact(entry) for entry in entries}


def _fact(entry: Mapping[str, Any]) -> str:
    left = f"{entry['remaining']} of {entry['limit']} left, more in {duration(entry['reset_seconds'])}"
    return f"{left} (counts only)" if entry["shadow"] else left


CONSOLE = RoleConsole(
    samples=SAMPLES,
    title="Rate limits",
    model="throttling.ratelimits",
    health=health,
    explain=explain,
    charts=(
        Chart("Allowed", "requests a second", (Line("allowed_total:*", ""),)),
        Chart(
            "Rejected",
            "requests a second",
            (Line("refused_total:*", ""), Line("degraded_total", "local fallback decisions")),
        ),
    ),
)
