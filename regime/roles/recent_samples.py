"""The last minute of what samplers saw of the states: what a page shows that must not look at many keys itself."""

from collections.abc import Mapping

from avo_project.console.history import History
from regime import keys

ROLE = "regime"
_SAMPLES = 6


def recent_figures() -> Mapping[str, float]:
    """``states`` and ``without_ttl`` averaged over the newest samples, of which each is a guess from random keys, and
    ``sampled_at`` in Unix seconds; empty when nobody has sampled yet. One command."""
    held = History.connect(ROLE, keys.REDIS_ALIAS).newest(_SAMPLES)
    if not held:
        return {}
    recent = [one.values for one in held if one.at > held[-1].at - 60]
    means = {name: sum(one.get(name, 0.0) for one in recent) / len(recent) for name in ("states", "without_ttl")}
    return {**means, "sampled_at": held[-1].at}
