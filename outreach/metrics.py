"""The queue in figures, for ``/metrics``."""

from collections.abc import Iterator

from django.db.models import Count
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from outreach.models import UNFINISHED, Inbox, Touch
from outreach.store.inspection import QueueView

_ALIVE_MS = 120_000
_SHOWN = (*UNFINISHED, Touch.Status.UNKNOWN)


def live_gauges() -> Iterator[Metric]:
    """Gauges of the queue and of the touches that somebody still has to do something about."""
    view = QueueView.connect()
    now = view.overview()
    alive = sum(1 for _, seen_ms in now.workers if seen_ms > now.now_ms - _ALIVE_MS)
    yield _gauge("avo_outreach_lanes", "Inboxes with touches in the queue", view.lane_count())
    yield _gauge("avo_outreach_lanes_due", "Inboxes that are worth a look now", now.lanes_due)
    yield _gauge("avo_outreach_in_flight", "Touches in workers' hands", now.in_flight)
    yield _gauge(
        "avo_outreach_leases_ended", "Touches whose worker is gone and that nobody has recovered yet", now.leases_ended
    )
    yield _gauge("avo_outreach_workers", "Workers with a heartbeat in the last two minutes", alive)
    yield _gauge(
        "avo_outreach_queue_intact",
        "1 unless Redis lost the queue since it was last compared with the ledger",
        now.is_initialised,
    )
    yield _gauge("avo_outreach_inboxes_paused", "Inboxes that are paused", Inbox.objects.filter(paused=True).count())
    touches = GaugeMetricFamily(
        "avo_outreach_touches", "Unfinished and unknown touches in the ledger", labels=["status"]
    )
    counts = dict(Touch.objects.filter(status__in=_SHOWN).values_list("status").annotate(Count("pk")).order_by())
    for status in _SHOWN:
        touches.add_metric([status], counts.get(status, 0))
    yield touches


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
