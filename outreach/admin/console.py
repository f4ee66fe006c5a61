"""The outreach queue in the console: its health, its explanations and its charts."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from uuid import UUID

from avo_project.console.registry import Answer, Chart, HasPermission, HealthStatus, Level, Line, RoleConsole
from avo_project.lib.redaction import redacted
from outreach.models import UNFINISHED, Attempt, Inbox, Touch
from outreach.services.inboxes import InboxNames
from outreach.services.samples import SAMPLES, active_workers
from outreach.services.stopped_inboxes import held_inboxes, paused_inboxes
from outreach.services.waiting import Waiting, inbox_waiting, touch_waiting
from outreach.store.inspection import QueueView

Status = Touch.Status


def health(now: float) -> HealthStatus:
    """Red when due touches have no worker or the queue lost its data; amber when an operator's action is needed."""
    queue = QueueView.connect().overview()
    workers, unfinished = active_workers(queue), Touch.objects.filter(status__in=UNFINISHED).count()
    figure = f"{unfinished:,} to send, {queue.in_flight:,} in flight, {workers} worker{'' if workers == 1 else 's'}"
    if unfinished and not queue.is_initialised:
        return HealthStatus(
            Level.RED, figure, "Redis lost the queue: start a worker, or run reconcile_outreach to restore it."
        )
    if queue.lanes_due and not workers:
        return HealthStatus(Level.RED, figure, f"{queue.lanes_due:,} inboxes may send and no worker is active.")
    if unknown := Touch.objects.filter(status=Status.UNKNOWN).count():
        return HealthStatus(
            Level.AMBER, figure, f"{unknown:,} touches may have been delivered: check, then resolve them."
        )
    if queue.leases_ended:
        return HealthStatus(
            Level.AMBER, figure, f"{queue.leases_ended:,} touches have an expired lease and wait for recovery."
        )
    if stopped := str(paused_inboxes()):
        return HealthStatus(Level.AMBER, figure, f"Paused with touches to send: {stopped}")
    if stopped := str(held_inboxes(datetime.fromtimestamp(now, UTC))):
        return HealthStatus(Level.AMBER, figure, f"Held with touches to send: {stopped}")
    if not workers:
        return HealthStatus(Level.AMBER, figure, "No worker is active; nothing is due.")
    return HealthStatus(Level.GREEN, figure, "Sending normally.")


def explain(of: str, has_permission: HasPermission) -> Iterable[Answer]:
    """Explains the state of a touch, by its id, or of an inbox, by its address."""
    view = QueueView.connect()
    may_see_payload = has_permission("outreach.view_touch_payload")
    if (touch := find_touch(of.removeprefix("touch:"))) is not None:
        return (touch_answer(touch, view, may_see_payload),)
    inbox = InboxNames()[of.removeprefix("inbox:")]
    return () if inbox is None else (inbox_answer(inbox, view, may_see_payload),)


_HEADLINES = {
    Status.SENT: "was sent",
    Status.DEAD: "is dead: no more attempts",
    Status.UNKNOWN: "may have been delivered; an operator must resolve it",
    Status.SUPPRESSED: "is not sent: its recipient is suppressed",
    Status.CANCELLED: "was cancelled",
    Status.SENDING: "is in flight",
}


def find_touch(text: str) -> Touch | None:
    """The touch with this id, or None."""
    try:
        key = UUID(text)
    except ValueError:
        return None
    return Touch.objects.select_related("inbox").filter(pk=key).first()


def touch_answer(touch: Touch, view: QueueView, may_see_payload: bool) -> Answer:
    """The touch's state and its reasons. Recipient and unredacted replies require the permission for payloads."""
    waiting = touch_waiting(touch, view, view.now_ms())
    last = touch.attempts.order_by("-pk").first()
    facts = {
        "status": waiting.status,
        "inbox": touch.inbox.address,
        "tries": str(touch.tries),
        "queued": _moment(touch.created_at),
        "due": _moment(touch.due_at) if touch.due_at else "as soon as its inbox may send",
    }
    if touch.finished_at:
        facts["finished"] = _moment(touch.finished_at)
    if may_see_payload:
        facts["recipient"] = touch.recipient or "erased"
    headline = _HEADLINES.get(Status(touch.status)) or _wait_headline(waiting)
    reasons = tuple(_shown(reason, may_see_payload) for reason in _touch_reasons(touch, waiting, last))
    return Answer("touch", str(touch.pk), headline, reasons, facts)


def inbox_answer(inbox: Inbox, view: QueueView, may_see_payload: bool) -> Answer:
    """Why the inbox's next touch waits. A pause reason may quote a reply that names a recipient, so it is redacted."""
    waiting = inbox_waiting(inbox, view, view.now_ms())
    unfinished = inbox.touches.filter(status__in=UNFINISHED).count()
    facts = {
        "touches to send": f"{unfinished:,}",
        "channel": inbox.channel,
        "per minute": str(inbox.per_minute or "no limit"),
        "per day": str(inbox.per_day or "no limit"),
        "gap": f"{inbox.min_gap_seconds:g} s" if inbox.min_gap_seconds else "none",
    }
    reasons = [_shown(waiting.text, may_see_payload)] if waiting.text else ["no limit, window or pause delays it"]
    return Answer(
        "inbox", inbox.address, _wait_headline(waiting) if unfinished else "has nothing to send", reasons, facts
    )


def _wait_headline(waiting: Waiting) -> str:
    if waiting.reason is None:
        return "may be sent now, by the next free worker"
    return f"waits until {_moment(waiting.until)}" if waiting.until else "waits for an operator's action"


def _touch_reasons(touch: Touch, waiting: Waiting, last: Attempt | None) -> Iterator[str]:
    if waiting.text:
        yield waiting.text
    if touch.reason:
        yield f"recorded reason: {touch.reason}"
    if last is not None:
        whose = f" ({last.reply_class})" if last.reply_class else ""
        yield f"last attempt: {last.outcome} {last.code or ''}{whose}: {last.detail or 'no detail'}"
    if touch.status == Status.SENDING:
        yield f"worker {touch.worker} holds it; if that worker dies, another recovers it when the lease expires"


def _shown(reason: str, may_see_payload: bool) -> str:
    return reason if may_see_payload else redacted(reason)


def _moment(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if moment else "unknown"


CONSOLE = RoleConsole(
    samples=SAMPLES,
    title="Outreach queue",
    model="outreach.outreachqueue",
    health=health,
    explain=explain,
    charts=(
        Chart(
            "To send",
            "touches",
            (Line("depth", "unfinished"), Line("in_flight", "in flight"), Line("retry", "retrying")),
        ),
        Chart("Sent", "a minute", (Line("sent_a_minute", "sent"),)),
        Chart("Needs attention", "touches", (Line("dead", "dead"), Line("unknown", "unknown"))),
    ),
)
