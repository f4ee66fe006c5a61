"""What an operator may do from the page over the live queue."""

import time
from dataclasses import asdict

from django.db.models import QuerySet
from django.http import HttpRequest

from avo_project.console.live_state_admin import LiveAction
from avo_project.console.operator_actions import Effect
from outreach.models import UNFINISHED, Inbox, Touch
from outreach.roles.inbox_names import inbox_named
from outreach.roles.inbox_settings import set_paused
from outreach.roles.reconcile import Reconciler
from outreach.store.inspection import QueueView
from outreach.store.lanes import Lanes

_PERMISSION = "operate_outreachqueue"


def _named(request: HttpRequest) -> QuerySet[Inbox]:
    """Raises LookupError for an inbox that is not there."""
    return Inbox.objects.filter(pk=inbox_named(request.POST["inbox"].strip()).pk)


def _preview_pause(request: HttpRequest) -> Effect:
    held = Touch.objects.filter(inbox__in=_named(request), status__in=UNFINISHED).count()
    return Effect("Nothing leaves this inbox until it is resumed. So many touches of it are not finished yet.", held)


def _preview_resume(request: HttpRequest) -> Effect:
    held = Touch.objects.filter(inbox__in=_named(request), status__in=UNFINISHED).count()
    return Effect("What waits in this inbox leaves as its limits allow.", held)


def _pause(request: HttpRequest) -> Effect:
    changed = set_paused(_named(request), paused=True)
    return Effect("The inbox is paused." if changed else "The inbox was paused already.", changed)


def _resume(request: HttpRequest) -> Effect:
    changed = set_paused(_named(request), paused=False)
    return Effect("The inbox is resumed." if changed else "The inbox was not paused.", changed)


def _preview_reconcile(request: HttpRequest) -> Effect:
    unfinished = Touch.objects.filter(status__in=UNFINISHED).count()
    return Effect("Compares every unfinished touch with the queue and puts back what Redis lost.", unfinished)


def _reconcile(request: HttpRequest) -> Effect:
    done = asdict(Reconciler(Lanes.connect(), QueueView.connect(), lease_ms=60_000).everything(time.time()))
    return Effect(", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in done.items()), sum(done.values()))


ACTIONS = (
    LiveAction("pause", "Pause an inbox", _PERMISSION, _preview_pause, _pause, ("inbox",)),
    LiveAction("resume", "Resume an inbox", _PERMISSION, _preview_resume, _resume, ("inbox",)),
    LiveAction("reconcile", "Put back what Redis lost", _PERMISSION, _preview_reconcile, _reconcile),
)
