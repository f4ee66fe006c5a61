"""Figures of the rate limits that are sampled for the charts of the admin."""

from collections.abc import Mapping

from avo_project.observability.sources import SampleSource
from throttling import conf, keys
from throttling.services.inspection import Inspection


def sample() -> Mapping[str, float]:
    """``allowed_total:<tier>``, ``refused_total:<tier>`` and ``degraded_total`` since counting began, 0 before the
    first request of a tier: else its rate would miss that one."""
    totals = Inspection.connect().totals()
    named = {field.partition("|"): count for field, count in totals.items()}
    none = {f"{word}_total:{tier}": 0 for word in ("allowed", "refused") for tier in conf.load().rates}
    counted = {f"{word}_total:{tier}" if tier else f"{word}_total": count for (word, _, tier), count in named.items()}
    return {"degraded_total": 0, **none, **counted}


SAMPLES = SampleSource("throttling", keys.REDIS_ALIAS, sample)
