"""Gauges of the queue, read at each scrape."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from outreach.models import UNFINISHED, Inbox, Touch
from outreach.services.samples import active_workers, touch_counts
from outreach.store.inspection import QueueView

_SHOWN = (*UNFINISHED, Touch.Status.UNKNOWN)


def live_metrics() -> Iterator[Metric]:
    """Gauges of the queue, and of unfinished and unknown touches. Raises RedisError and DatabaseError."""
    view = QueueView.connect()
    now = view.overview()
    yield GaugeMetricFamily("avo_outreach_lanes", "Inboxes with touches in the queue", view.lane_count())
    yield GaugeMetricFamily("avo_outreach_lanes_due", "Inboxes that are due now", now.lanes_due)
    yield GaugeMetricFamily("avo_outreach_in_flight", "Touches in flight", now.in_flight)
    yield GaugeMetricFamily(
        "avo_outreach_leases_ended", "Touches with an expired lease that no worker has recovered yet", now.leases_ended
    )
    yield GaugeMetricFamily(
        "avo_outreach_workers", "Workers with a heartbeat in the last two minutes", active_workers(now)
    )
    yield GaugeMetricFamily(
        "avo_outreach_queue_intact",
        "1 unless Redis lost data since the queue was last compared with the ledger",
        now.is_initialised,
    )
    yield GaugeMetricFamily(
        "avo_outreach_inboxes_paused", "Inboxes that are paused", Inbox.objects.filter(paused=True).count()
    )
    touches = GaugeMetricFamily(
        "avo_outreach_touches", "Unfinished and unknown touches in the ledger", labels=["status"]
    )
    counts = touch_counts(_SHOWN)
    for status in _SHOWN:
        touches.add_metric([status], counts.get(status, 0))
    yield touches
