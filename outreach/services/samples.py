"""Figures of the outreach queue that are sampled for the charts of the admin."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from django.db.models import Count

from avo_project.observability.sampler import SampleSource
from outreach import keys
from outreach.models import UNFINISHED, Attempt, Touch
from outreach.store.inspection import Overview, QueueView

_ACTIVE_MS = 120_000
_ATTEMPTS_READ = 2_000
Status = Touch.Status


def sample() -> Mapping[str, float]:
    """Figures of the queue, counts of the ledger's states, and sends in the last minute."""
    queue, counts = QueueView.connect().overview(), touch_counts((*UNFINISHED, Status.DEAD, Status.UNKNOWN))
    return {
        "depth": sum(counts.get(status, 0) for status in UNFINISHED),
        "in_flight": queue.in_flight,
        "waiting": counts.get(Status.QUEUED, 0) + counts.get(Status.WAITING, 0),
        "retry": counts.get(Status.RETRYING, 0),
        "dead": counts.get(Status.DEAD, 0),
        "unknown": counts.get(Status.UNKNOWN, 0),
        "workers": active_workers(queue),
        "sent_a_minute": _sent_a_minute(queue.now_ms),
    }


def touch_counts(statuses: Iterable[str]) -> dict[str, int]:
    """The number of touches in each of these states; states without touches are missing."""
    touches = Touch.objects.filter(status__in=statuses).values_list("status").annotate(count=Count("*"))
    return dict(touches.order_by())


def _sent_a_minute(now_ms: int) -> float:
    """From the newest attempts, a bounded number of them, whatever the size of the ledger."""
    since = datetime.fromtimestamp(now_ms / 1000, UTC) - timedelta(minutes=1)
    newest = Attempt.objects.order_by("-pk").values_list("outcome", "finished_at")[:_ATTEMPTS_READ]
    tries = [(outcome, at) for outcome, at in newest if at > since]
    sent = sum(outcome == "sent" for outcome, _ in tries)
    if len(tries) < _ATTEMPTS_READ:
        return float(sent)
    span_seconds = (tries[0][1] - tries[-1][1]).total_seconds()
    return sent * 60 / max(span_seconds, 1.0)


def active_workers(queue: Overview) -> int:
    """The number of workers with a heartbeat in the last two minutes."""
    return sum(seen_ms > queue.now_ms - _ACTIVE_MS for _, seen_ms in queue.workers)


SAMPLES = SampleSource("outreach", keys.REDIS_ALIAS, sample)
