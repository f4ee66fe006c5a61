"""Gauges of the limits, read at each scrape."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from throttling.conf import ThrottlingConf
from throttling.services.inspection import Inspection


def live_metrics() -> Iterator[Metric]:
    """Gauges of refusals and of busy subjects. Raises RedisError."""
    inspection = Inspection.connect()
    refusals = GaugeMetricFamily(
        "avo_throttle_refusals_last_hour", "Requests refused in the last 60 minutes, all processes", labels=["tier"]
    )
    for tier, series in ({tier: [0] for tier in ThrottlingConf.load().rates} | inspection.rejections()).items():
        refusals.add_metric([tier], sum(series))
    yield refusals
    yield GaugeMetricFamily(
        "avo_throttle_busy_subjects",
        "Subjects among the busiest 1,000 of the last minutes",
        len(inspection.busiest()),
    )
