"""Figures of the regime cache that are sampled for the charts of the admin."""

from collections.abc import Mapping

from avo_project.observability.sampler import SampleSource
from regime import keys
from regime.services.inspection import ROLE, RegimeInspection


def sample() -> Mapping[str, float]:
    """Counts of a small key space or estimates from random keys, and ages of what our own writers did last."""
    overview = RegimeInspection.connect().overview()
    figures = {
        "states": overview.sample.states_estimated,
        "without_ttl": overview.sample.without_ttl_estimated,
        "is_exact": float(overview.sample.is_exact),
        "collected": overview.pointer.symbols,
        "cycle_age_seconds": overview.cycle_age_seconds,
        "collection_age_seconds": overview.collection_age_seconds,
    }
    return {name: value for name, value in figures.items() if value is not None}


SAMPLES = SampleSource(ROLE, keys.REDIS_ALIAS, sample)
