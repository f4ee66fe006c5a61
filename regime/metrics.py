"""Gauges of the regime cache, read at each scrape."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from regime.services.inspection import RegimeInspection


def live_metrics() -> Iterator[Metric]:
    """Gauges of the states, the collection and the cycles. Raises RedisError."""
    overview = RegimeInspection.connect().overview()
    pointer, sample = overview.pointer, overview.sample
    yield GaugeMetricFamily(
        "avo_regime_states_estimated",
        "States; estimated from random keys when there are many",
        sample.states_estimated,
    )
    yield GaugeMetricFamily(
        "avo_regime_keys_without_ttl",
        "States without expiry, estimated in the same way; 0 is right",
        sample.without_ttl_estimated,
    )
    yield GaugeMetricFamily(
        "avo_regime_sampled_states", "States among the keys that this scrape looked at", sample.states
    )
    yield GaugeMetricFamily("avo_regime_collection_symbols", "Symbols in the collection", pointer.symbols)
    yield GaugeMetricFamily(
        "avo_regime_misnamed_keys", "Keys under a name that is no symbol in upper case", pointer.misnamed
    )
    yield GaugeMetricFamily(
        "avo_regime_incomplete_walks",
        "Passes over all states since the last complete one that may have missed some",
        pointer.incomplete_walks,
    )
    yield GaugeMetricFamily(
        "avo_regime_old_data_states", "Symbols in the collection whose data is old", pointer.old_data
    )
    yield GaugeMetricFamily(
        "avo_regime_collection_age_seconds", "Age of the collection", overview.collection_age_seconds
    )
    yield GaugeMetricFamily(
        "avo_regime_cycle_age_seconds", "Time since a cycle of our writers ended", overview.cycle_age_seconds
    )
    yield GaugeMetricFamily("avo_regime_cycle_states", "States written by the last cycle", pointer.cycle_states)
    yield GaugeMetricFamily(
        "avo_regime_cycle_overdue", "1 when the last cycle is too long ago", float(overview.is_cycle_overdue)
    )
