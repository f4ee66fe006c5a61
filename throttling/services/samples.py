"""Samples of the rate limits for the charts in the admin."""

from collections.abc import Mapping

from avo_project.observability.sampler import SampleSource
from throttling import keys
from throttling.conf import ThrottlingConf
from throttling.services.inspection import Inspection


def sample() -> Mapping[str, float]:
    """``allowed_total:<tier>``, ``refused_total:<tier>`` and ``degraded_total``. Each starts at 0, so that a rate
    includes the first request of a tier."""
    totals = Inspection.connect().totals()
    named = {field.partition("|"): count for field, count in totals.items()}
    none = {f"{word}_total:{tier}": 0 for word in ("allowed", "refused") for tier in ThrottlingConf.load().rates}
    counted = {f"{word}_total:{tier}" if tier else f"{word}_total": count for (word, _, tier), count in named.items()}
    return {"degraded_total": 0, **none, **counted}


SAMPLES = SampleSource("throttling", keys.REDIS_ALIAS, sample)
