"""What the outreach queue tells the operator console."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from django.db.models import Count, Exists, OuterRef

from avo_project.console.registry import Answer, Chart, HealthStatus, Level, Line, May, RoleConsole
from outreach import keys
from outreach.models import UNFINISHED, Attempt, Inbox, Touch
from outreach.services.trace import inbox_answer, touch_answer, touch_of
from outreach.store.inspection import Overview, QueueView

_ALIVE_MS = 120_000
_TRIES_LOOKED_AT = 2_000
Status = Touch.Status


def sample() -> Mapping[str, float]:
    """The queue's figures, the ledger's states, and how many touches left in the last minute."""
    queue, counts = QueueView.connect().overview(), _counts()
    return {
        "depth": sum(counts.get(status, 0) for status in UNFINISHED),
        "in_flight": queue.in_flight,
        "waiting": counts.get(Status.QUEUED, 0) + counts.get(Status.WAITING, 0),
        "retry": counts.get(Status.RETRYING, 0),
        "dead": counts.get(Status.DEAD, 0),
        "unknown": counts.get(Status.UNKNOWN, 0),
        "workers": _alive(queue),
        "sent_a_minute": _sent_a_minute(queue.now_ms),
    }


def _counts() -> dict[str, int]:
    shown = (*UNFINISHED, Status.DEAD, Status.UNKNOWN)
    return dict(Touch.objects.filter(status__in=shown).values_list("status").annotate(Count("pk")).order_by())


def _sent_a_minute(now_ms: int) -> float:
    """From the newest tries: a bounded look, whatever the ledger holds."""
    since = datetime.fromtimestamp(now_ms / 1000, UTC) - timedelta(minutes=1)
    newest = Attempt.objects.order_by("-pk").values_list("outcome", "finished_at")[:_TRIES_LOOKED_AT]
    tries = [(outcome, at) for outcome, at in newest if at > since]
    sent = sum(outcome == "sent" for outcome, _ in tries)
    if len(tries) < _TRIES_LOOKED_AT:
        return float(sent)
    span_seconds = (tries[0][1] - tries[-1][1]).total_seconds()
    return sent * 60 / max(span_seconds, 1.0)


def _alive(queue: Overview) -> int:
    return sum(seen_ms > queue.now_ms - _ALIVE_MS for _, seen_ms in queue.workers)


def verdict(now: float) -> HealthStatus:
    """Red when touches could go and nobody sends, or the queue is lost; amber when something waits for a person."""
    queue = QueueView.connect().overview()
    workers, unfinished = _alive(queue), Touch.objects.filter(status__in=UNFINISHED).count()
    figure = f"{unfinished:,} to send, {queue.in_flight:,} in hand, {workers} worker{'' if workers == 1 else 's'}"
    if unfinished and not queue.is_intact:
        return HealthStatus(
            Level.RED, figure, "Redis lost the queue: start a worker, or put it back by reconcile_outreach."
        )
    if queue.lanes_due and not workers:
        return HealthStatus(Level.RED, figure, f"{queue.lanes_due:,} inboxes may send and no worker lives.")
    if unknown := Touch.objects.filter(status=Status.UNKNOWN).count():
        return HealthStatus(Level.AMBER, figure, f"{unknown:,} touches may have left: find out, then resolve them.")
    if queue.leases_ended:
        return HealthStatus(
            Level.AMBER, figure, f"{queue.leases_ended:,} touches were in the hands of a worker that is gone."
        )
    if stuck := _paused_with_touches():
        return HealthStatus(Level.AMBER, figure, f"Paused with touches to send: {', '.join(stuck)}.")
    if not workers:
        return HealthStatus(Level.AMBER, figure, "No worker lives; nothing is due yet.")
    return HealthStatus(Level.GREEN, figure, "What may go, goes.")


def _paused_with_touches() -> list[str]:
    waiting = Touch.objects.filter(inbox=OuterRef("pk"), status__in=UNFINISHED)
    return list(Inbox.objects.filter(Exists(waiting), paused=True).values_list("address", flat=True)[:3])


def explain(of: str, may: May) -> Iterable[Answer]:
    """Why a touch, by its id, or an inbox, by its address, stands where it does."""
    view = QueueView.connect()
    may_see_payload = may("outreach.view_touch_payload")
    if (touch := touch_of(of.removeprefix("touch:"))) is not None:
        return (touch_answer(touch, view, may_see_payload),)
    inbox = Inbox.objects.filter(address__iexact=of.removeprefix("inbox:")).first()
    return () if inbox is None else (inbox_answer(inbox, view, may_see_payload),)


CONSOLE = RoleConsole(
    role="outreach",
    title="Outreach queue",
    alias=keys.REDIS_ALIAS,
    page="outreach_outreachqueue_changelist",
    permission="outreach.view_outreachqueue",
    sample=sample,
    verdict=verdict,
    explain=explain,
    charts=(
        Chart(
            "To send",
            "touches",
            (Line("depth", "unfinished"), Line("in_flight", "in hand"), Line("retry", "to be tried again")),
        ),
        Chart("Sent", "a minute", (Line("sent_a_minute", "sent"),)),
        Chart("For a person", "touches", (Line("dead", "dead"), Line("unknown", "unknown"))),
    ),
)
