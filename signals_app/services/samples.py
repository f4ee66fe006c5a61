"""Figures of the signal stream that are sampled for the charts of the admin."""

from collections.abc import Mapping

from avo_project.observability.sampler import SampleSource
from signals_app import keys
from signals_app.services import inspection


def sample() -> Mapping[str, float]:
    """Sums over all groups, and the ages of the oldest entries."""
    now = inspection.summary()
    figures: dict[str, float] = {
        "length": now.length,
        "dead": now.dead_letters,
        "pending": sum(group.pending for group in now.groups),
        "oldest_pending_seconds": max((group.oldest_pending_seconds or 0.0 for group in now.groups), default=0.0),
        "oldest_undelivered_seconds": max(
            (group.oldest_undelivered_seconds or 0.0 for group in now.groups), default=0.0
        ),
        "consumers_alive": sum(group.consumers_alive for group in now.groups),
    }
    if all(group.lag is not None for group in now.groups):
        figures["lag"] = sum(group.lag or 0 for group in now.groups)
    if now.added is not None:
        figures["published_total"] = now.added
    return figures


SAMPLES = SampleSource("signals", keys.REDIS_ALIAS, sample)
