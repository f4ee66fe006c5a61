"""Gauges of the signals role, read at each scrape."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from signals_app.domain.lag import GroupFigures
from signals_app.services import inspection

_GROUP_GAUGES = {
    "pending": "Entries delivered and not acknowledged",
    "lag": "Entries not yet delivered; absent if unknown",
    "oldest_pending_seconds": "Age of the oldest entry delivered and not acknowledged",
    "oldest_undelivered_seconds": "Age of the oldest entry not yet delivered",
    "drain_seconds": "Time to handle all waiting entries at the rate of the last minute; absent if unknown",
    "consumers_alive": "Consumers with a current heartbeat; absent for groups of programs without heartbeats",
}


def live_metrics() -> Iterator[Metric]:
    """Length of the stream, dead letters, and six gauges per group. Raises RedisError."""
    figures = inspection.figures()
    yield GaugeMetricFamily("avo_signals_length", "Entries in the stream", figures.length)
    yield GaugeMetricFamily("avo_signals_dead_letters", "Dead letters", figures.dead_letters)
    for name, help_text in _GROUP_GAUGES.items():
        metric = GaugeMetricFamily(f"avo_signals_{name}", help_text, labels=["group"])
        for group in figures.groups:
            if (value := _value(group, name)) is not None:
                metric.add_metric([group.name], value)
        yield metric


def _value(group: GroupFigures, name: str) -> float | None:
    if name == "consumers_alive" and group.kind == "external":
        return None
    value: float | None = getattr(group, name)
    return 0 if value is None and name.startswith("oldest") else value
