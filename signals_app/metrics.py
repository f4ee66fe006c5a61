"""Gauges of the signals role, read at each scrape."""

from collections.abc import Iterator

from prometheus_client import Metric

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
    figures = inspection.figures(count_up_to=1_000)
    yield _single("avo_signals_length", "Entries in the stream", figures.length)
    yield _single("avo_signals_dead_letters", "Dead letters", figures.dead_letters)
    for name, help_text in _GROUP_GAUGES.items():
        metric = Metric(f"avo_signals_{name}", help_text, "gauge")
        for group in figures.groups:
            if (value := _value(group, name)) is not None:
                metric.add_sample(metric.name, {"group": group.name}, value)
        yield metric


def _value(group: GroupFigures, name: str) -> float | None:
    if name == "consumers_alive" and group.kind == "external":
        return None
    value: float | None = getattr(group, name)
    return 0 if value is None and name.startswith("oldest") else value


def _single(name: str, help_text: str, value: float) -> Metric:
    metric = Metric(name, help_text, "gauge")
    metric.add_sample(name, {}, value)
    return metric
