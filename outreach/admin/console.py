"""What the outreach queue tells the operator console."""

from collections.abc import Iterable

from django.db.models import Exists, OuterRef

from avo_project.console.registry import Answer, Chart, HasPermission, HealthStatus, Level, Line, RoleConsole
from outreach.admin.trace import find_touch, inbox_answer, touch_answer
from outreach.models import UNFINISHED, Inbox, Touch
from outreach.services.inboxes import InboxNames
from outreach.services.samples import SAMPLES, active_workers
from outreach.store.inspection import QueueView

Status = Touch.Status


def health(now: float) -> HealthStatus:
    """Red when touches could go and nobody sends, or the queue is lost; amber when something waits for a person."""
    queue = QueueView.connect().overview()
    workers, unfinished = active_workers(queue), Touch.objects.filter(status__in=UNFINISHED).count()
    figure = f"{unfinished:,} to send, {queue.in_flight:,} in flight, {workers} worker{'' if workers == 1 else 's'}"
    if unfinished and not queue.is_initialised:
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


def explain(of: str, has_permission: HasPermission) -> Iterable[Answer]:
    """Why a touch, by its id, or an inbox, by its address, stands where it does."""
    view = QueueView.connect()
    may_see_payload = has_permission("outreach.view_touch_payload")
    if (touch := find_touch(of.removeprefix("touch:"))) is not None:
        return (touch_answer(touch, view, may_see_payload),)
    inbox = InboxNames()[of.removeprefix("inbox:")]
    return () if inbox is None else (inbox_answer(inbox, view, may_see_payload),)


CONSOLE = RoleConsole(
    samples=SAMPLES,
    title="Outreach queue",
    page="outreach_outreachqueue_changelist",
    permission="outreach.view_outreachqueue",
    health=health,
    explain=explain,
    charts=(
        Chart(
            "To send",
            "touches",
            (Line("depth", "unfinished"), Line("in_flight", "in flight"), Line("retry", "to be tried again")),
        ),
        Chart("Sent", "a minute", (Line("sent_a_minute", "sent"),)),
        Chart("For a person", "touches", (Line("dead", "dead"), Line("unknown", "unknown"))),
    ),
)
