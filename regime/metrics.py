"""Counters of this process about regime states, and the gauges read live at each scrape."""

from collections.abc import Iterator

from prometheus_client import Counter, Metric

from regime.domain.freshness import Freshness
from regime.services.inspection import RegimeInspection

BAD_FIELDS = Counter("avo_regime_bad_fields", "Scores left out of an answer because they were no number in 0..1")
NOT_CURRENT = Counter("avo_regime_not_current", "Reads of a state that was not current", ["freshness"])
for _freshness in Freshness:
    if _freshness is not Freshness.CURRENT:
        NOT_CURRENT.labels(_freshness.value)  # shown before the first one, which a rate would miss otherwise


def live_metrics() -> Iterator[Metric]:
    """The gauges of the role. Raises RedisError."""
    overview = RegimeInspection.connect().overview()
    pointer, sample = overview.pointer, overview.sample
    yield _gauge(
        "avo_regime_states_estimated",
        "States; estimated from random keys when there are many",
        sample.states_estimated,
    )
    yield _gauge(
        "avo_regime_keys_without_ttl",
        "States without expiry, estimated in the same way; 0 is right",
        sample.without_ttl_estimated,
    )
    yield _gauge("avo_regime_sampled_states", "States among the keys that this scrape looked at", sample.states)
    yield _gauge("avo_regime_collection_symbols", "Symbols in the collection", pointer.symbols)
    yield _gauge("avo_regime_misnamed_keys", "Keys under a name that is no symbol in upper case", pointer.misnamed)
    yield _gauge("avo_regime_old_data_states", "Symbols in the collection whose data is old", pointer.old_data)
    yield _gauge("avo_regime_collection_age_seconds", "Age of the collection", overview.collection_age_seconds)
    yield _gauge("avo_regime_cycle_age_seconds", "Time since a cycle of our writers ended", overview.cycle_age_seconds)
    yield _gauge("avo_regime_cycle_states", "States written by the last cycle", pointer.cycle_states)
    yield _gauge("avo_regime_cycle_overdue", "1 when the last cycle is too long ago", float(overview.is_cycle_overdue))


def _gauge(name: str, help_text: str, value: float | None) -> Metric:
    metric = Metric(name, help_text, "gauge")
    if value is not None:
        metric.add_sample(name, {}, value)
    return metric
