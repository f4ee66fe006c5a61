"""The admin page of the live outreach queue and its actions."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial

from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from avo_project.console.actions import ActionResult
from avo_project.console.live_admin import LiveAction, LiveStateAdmin, Panel
from avo_project.lib.formatting import duration
from outreach.models import RESERVABLE, UNFINISHED, Inbox, Touch
from outreach.services.inboxes import inbox_named, set_paused
from outreach.services.reconcile import Reconciler
from outreach.services.samples import touch_counts
from outreach.services.stopped_inboxes import held_inboxes, paused_inboxes, stopped_by
from outreach.services.waiting import inbox_forecasts
from outreach.store.inspection import Overview, QueueView
from outreach.store.lanes import Lanes

_PERMISSION = "operate_outreachqueue"


def _posted_inbox(request: HttpRequest) -> QuerySet[Inbox]:
    """The inbox named in the form, as a query set. Raises LookupError."""
    return Inbox.objects.filter(pk=inbox_named(request.POST["inbox"].strip()).pk)


def _preview_pause(request: HttpRequest) -> ActionResult:
    held = Touch.objects.filter(inbox__in=_posted_inbox(request), status__in=UNFINISHED).count()
    return ActionResult(
        "Nothing is sent from this inbox until it is resumed. The count is its unfinished touches.", held
    )


def _preview_resume(request: HttpRequest) -> ActionResult:
    held = Touch.objects.filter(inbox__in=_posted_inbox(request), status__in=UNFINISHED).count()
    return ActionResult("Ends a pause or a hold. Touches waiting in this inbox are sent as its limits allow.", held)


def _pause(request: HttpRequest) -> ActionResult:
    changed = set_paused(_posted_inbox(request), paused=True)
    return ActionResult("The inbox is paused." if changed else "The inbox was already paused.", changed)


def _resume(request: HttpRequest) -> ActionResult:
    changed = set_paused(_posted_inbox(request), paused=False)
    return ActionResult("The inbox is resumed." if changed else "The inbox was neither paused nor held.", changed)


def _stopped_by_reply(request: HttpRequest) -> QuerySet[Inbox]:
    return Inbox.objects.filter(pk__in=stopped_by(request.POST["reply"]))


def _preview_resume_all(request: HttpRequest) -> ActionResult:
    inboxes = _stopped_by_reply(request).count()
    return ActionResult("Ends the pauses and holds of all inboxes that this reply stopped.", inboxes)


def _resume_all(request: HttpRequest) -> ActionResult:
    changed = set_paused(_stopped_by_reply(request), paused=False)
    return ActionResult(f"{changed:,} inboxes are resumed.", changed)


def _preview_reconcile(request: HttpRequest) -> ActionResult:
    unfinished = Touch.objects.filter(status__in=UNFINISHED).count()
    return ActionResult("Compares every unfinished touch with the queue and requeues what Redis lost.", unfinished)


def _reconcile(request: HttpRequest) -> ActionResult:
    done = asdict(Reconciler(Lanes.connect(), QueueView.connect(), lease_ms=60_000).reconcile_all(time.time()))
    return ActionResult(
        ", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in done.items()), sum(done.values())
    )


ACTIONS = (
    LiveAction("pause", "Pause an inbox", _PERMISSION, _preview_pause, _pause, ("inbox",)),
    LiveAction("resume", "Resume an inbox", _PERMISSION, _preview_resume, _resume, ("inbox",)),
    LiveAction("resume_all", "Resume inboxes by reply", _PERMISSION, _preview_resume_all, _resume_all, ("reply",)),
    LiveAction("reconcile", "Reconcile the queue", _PERMISSION, _preview_reconcile, _reconcile),
)


_ROWS = 50


class OutreachQueueAdmin(LiveStateAdmin):
    """Inboxes and why they wait, touches by state, workers, touches in flight, and figures of the queue."""

    console_role = "outreach"
    live_actions = ACTIONS

    def panels(self, request: HttpRequest) -> Sequence[Panel]:
        view = QueueView.connect()
        now = view.overview()
        may_see_settings = request.user.has_perm("outreach.view_inbox")
        may_see_touches = request.user.has_perm("outreach.view_touch")
        return [
            _inboxes(view, now.now_ms, partial(self.button, request), may_see_settings),
            _stopped(datetime.fromtimestamp(now.now_ms / 1000, UTC), partial(self.button, request)),
            _states(may_see_touches),
            _workers(now),
            _in_flight(view, now.now_ms),
            _queue(now, view.lane_count()),
        ]


def _queue(now: Overview, lanes: int) -> Panel:
    rows = [
        ("Inboxes with touches in the queue", lanes),
        ("Inboxes that may send now", now.lanes_due),
        ("Touches in flight", now.in_flight),
        ("Touches with an expired lease", now.leases_ended),
        (
            "Queue is complete",
            "yes" if now.is_initialised else "no: data was lost; a worker or reconcile_outreach restores it",
        ),
    ]
    return Panel("Queue", ("", "now"), rows)


def _inboxes(view: QueueView, now_ms: int, begin: Callable[..., str], may_see: bool) -> Panel:
    unfinished = Touch.objects.filter(status__in=UNFINISHED).values_list("inbox_id").annotate(count=Count("*"))
    counts = dict(unfinished.order_by("-inbox__paused", "-count")[:_ROWS])
    inboxes = Inbox.objects.in_bulk(counts)
    forecasts = inbox_forecasts([inboxes[inbox_id] for inbox_id in counts if inbox_id in inboxes], view, now_ms)
    retrying = Touch.objects.filter(status=Touch.Status.RETRYING, inbox_id__in=inboxes).values_list("inbox_id")
    retries = dict(retrying.annotate(count=Count("*")).order_by())
    rows = [
        (
            _settings_link(one.inbox, may_see),
            counts[one.inbox.pk],
            one.in_flight,
            retries.get(one.inbox.pk, 0),
            one.text or "Sends now.",
            _utc_time(one.until),
            begin("resume", "Resume…", inbox=one.inbox.address)
            if one.inbox.paused or one.inbox.held_until
            else begin("pause", "Pause…", inbox=one.inbox.address),
        )
        for one in forecasts
    ]
    columns = ("Inbox", "Unfinished", "In flight", "Retrying", "Next touch", "Until (UTC)", "Actions")
    note = f"Paused inboxes first, then by unfinished touches; at most {_ROWS}. The links open the inboxes' settings."
    return Panel("Inboxes with unfinished touches", columns, rows, note)


def _stopped(now: datetime, begin: Callable[..., str]) -> Panel:
    rows = [
        (state, reply or "no reason recorded", count, begin("resume_all", "Resume all…", reply=reply) if reply else "")
        for state, inboxes in (("paused", paused_inboxes()), ("held", held_inboxes(now)))
        for reply, count in inboxes.replies[:_ROWS]
    ]
    note = "Inboxes with unfinished touches, by the reply that stopped them. Fix the cause before you resume them."
    return Panel("Paused and held inboxes", ("State", "Reply", "Inboxes", "Actions"), rows, note)


def _settings_link(inbox: Inbox, may_see: bool) -> object:
    if not may_see:
        return inbox
    return format_html('<a href="{}">{}</a>', reverse("admin:outreach_inbox_change", args=[inbox.pk]), inbox)


def _in_flight(view: QueueView, now_ms: int) -> Panel:
    rows = [(held.touch_id, held.worker, _lease(held.lease_ends_ms - now_ms)) for held in view.leased_touches(_ROWS)]
    return Panel("Touches in flight", ("Touch", "Worker", "Lease"), rows, "Any worker recovers expired leases.")


def _lease(left_ms: int) -> str:
    return duration(left_ms / 1000) if left_ms > 0 else "expired"


def _workers(now: Overview) -> Panel:
    rows = [(name, f"{duration((now.now_ms - seen_ms) / 1000)} ago") for name, seen_ms in now.workers]
    return Panel("Workers", ("Name", "Last heartbeat"), rows, "Workers send three heartbeats per lease.")


def _states(may_see_touches: bool) -> Panel:
    shown = (*RESERVABLE, Touch.Status.SENDING, Touch.Status.UNKNOWN, Touch.Status.DEAD)
    counts = touch_counts(shown)
    rows = [(_state_link(status, may_see_touches), counts.get(status, 0)) for status in shown]
    note = "Unknown: may have been delivered before the worker or server failed. Check, then resolve it in the list."
    return Panel("Touches by state", ("State", "Touches"), rows, note)


def _state_link(status: Touch.Status, may_see_touches: bool) -> object:
    """The state's name, as a link to its touches and their actions."""
    if not may_see_touches:
        return status.label
    return format_html(
        '<a href="{}?status__exact={}">{}</a>', reverse("admin:outreach_touch_changelist"), status, status.label
    )


def _utc_time(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if moment else ""
