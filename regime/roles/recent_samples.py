"""What samplers saw of the states lately: what a page shows that must not look at many keys itself."""

from collections.abc import Mapping

from avo_project.console.history import History
from regime import keys

ROLE = "regime"
_SAMPLES = 6


def recent_figures() -> Mapping[str, float]:
    """``states`` and ``without_ttl``, ``sampled_at`` in Unix seconds, and ``is_exact``: 1 for the counts of the newest
    sample, 0 for means of the newest ones, of which each is a guess from random keys. Empty when nobody has sampled
    yet. One command."""
    held = History.connect(ROLE, keys.REDIS_ALIAS).newest(_SAMPLES)
    if not held:
        return {}
    is_exact = held[-1].values.get("is_exact", 0.0)
    recent = [one.values for one in held if one.at > held[-1].at - 60 and not is_exact] or [held[-1].values]
    means = {name: sum(one.get(name, 0.0) for one in recent) / len(recent) for name in ("states", "without_ttl")}
    return {**means, "is_exact": is_exact, "sampled_at": held[-1].at}
