"""What the rate limits tell the operator console."""

from collections.abc import Iterable, Mapping
from typing import Any

from avo_project.console.role_console import Answer, Chart, Level, Line, May, RoleConsole, Verdict
from throttling import keys
from throttling.roles.inspection import Inspection, standings
from throttling.rules.subjects import normal

_RECENT_MINUTES = 5
_MANY_REFUSED = 0.2


def sample() -> Mapping[str, float]:
    """``allowed_total:<tier>``, ``refused_total:<tier>`` and ``degraded_total`` since counting began."""
    totals = Inspection.connect().totals()
    named = {field.partition("|"): count for field, count in totals.items()}
    told = {f"{word}_total:{tier}" if tier else f"{word}_total": count for (word, _, tier), count in named.items()}
    return {"degraded_total": 0, **told}


def verdict(now: float) -> Verdict:
    """Amber when a good part of the requests is refused. Without Redis the home says red before it asks."""
    inspection = Inspection.connect()
    refused = {tier: sum(series) for tier, series in inspection.refusals(_RECENT_MINUTES).items()}
    busiest = inspection.busiest()
    asked, turned_away = sum(one.requests for one in busiest), sum(refused.values())
    figure = f"{turned_away:,} refused in {_RECENT_MINUTES} min"
    if turned_away and turned_away > _MANY_REFUSED * asked:
        worst = max(refused, key=lambda tier: refused[tier])
        who = f" The busiest is {busiest[0].subject}." if busiest else ""
        return Verdict(Level.AMBER, figure, f"Most of them in tier {worst}.{who}")
    return Verdict(Level.GREEN, figure, "Limits are exact." if asked else "Nobody has called lately.")


def explain(of: str, may: May) -> Iterable[Answer]:
    """Why a subject has the limits it has, and whether it is refused."""
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
        because.append("a refused request costs nothing; units come back as its window moves on")
    headline = "is refused now" if spent else "may call"
    return (Answer("subject", subject, headline, because, _facts(standings(view.outcome))),)


def _facts(entries: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {
        f"{entry['name']} window": f"{entry['remaining']} of {entry['limit']} left, more in {entry['reset_seconds']} s"
        + (" (counts only)" if entry["shadow"] else "")
        for entry in entries
    }


CONSOLE = RoleConsole(
    role="throttling",
    title="Rate limits",
    alias=keys.REDIS_ALIAS,
    page="throttling_ratelimits_changelist",
    permission="throttling.view_ratelimits",
    sample=sample,
    verdict=verdict,
    explain=explain,
    charts=(
        Chart("Allowed", "requests a second", (Line("allowed_total:*", ""),)),
        Chart(
            "Refused",
            "requests a second",
            (Line("refused_total:*", ""), Line("degraded_total", "judged by a local guess")),
        ),
    ),
)
