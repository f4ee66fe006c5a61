"""What an operator may do from the queue page about the touches of one inbox, or of all."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from django.db.models import QuerySet
from django.http import HttpRequest

from avo_project.console.actions import ActionResult
from avo_project.console.live_admin import LiveAction
from outreach.models import RESERVABLE, Touch
from outreach.services.inboxes import inbox_named
from outreach.services.touch_operations import TouchOperations

_PERMISSION = "operate_outreachqueue"
_ALL = "all"


@dataclass(frozen=True, slots=True)
class TouchAction:
    """Applies ``remedy`` to the inbox's touches in one of the ``statuses``."""

    statuses: tuple[str, ...]
    warning: str
    done: str
    operation: Callable[[TouchOperations, QuerySet[Touch]], int]

    def preview(self, request: HttpRequest) -> ActionResult:
        return ActionResult(self.warning, self._chosen(request).count())

    def run(self, request: HttpRequest) -> ActionResult:
        changed = self.operation(TouchOperations.connect(time.time), self._chosen(request))
        return ActionResult(f"{changed} {self.done}.", changed)

    def _chosen(self, request: HttpRequest) -> QuerySet[Touch]:
        """Raises LookupError for an inbox that is not there."""
        address = request.POST["inbox"].strip()
        touches = Touch.objects.filter(status__in=self.statuses)
        return touches if address == _ALL else touches.filter(inbox=inbox_named(address))


_CANCEL = TouchAction(
    RESERVABLE, "What has not been handed to a server never leaves.", "touches were cancelled", TouchOperations.cancel
)
_REDRIVE = TouchAction(
    (Touch.Status.DEAD,),
    "Dead touches get all their tries again; suppressed recipients stay out.",
    "touches were queued again",
    TouchOperations.redrive,
)
_AS_SENT = TouchAction(
    (Touch.Status.UNKNOWN,),
    "Only if you found that these unknown touches did arrive: they count as sent.",
    "touches were resolved as sent",
    TouchOperations.resolve_as_sent,
)
_AGAIN = TouchAction(
    (Touch.Status.UNKNOWN,),
    "Only if you found that these unknown touches did not arrive: they go out anew.",
    "touches were queued again",
    TouchOperations.send_again,
)
TOUCH_ACTIONS = (
    LiveAction("cancel", "Cancel what waits in an inbox", _PERMISSION, _CANCEL.preview, _CANCEL.run, ("inbox",)),
    LiveAction("redrive", "Redrive dead touches", _PERMISSION, _REDRIVE.preview, _REDRIVE.run, ("inbox",)),
    LiveAction("resolve-sent", "Resolve unknown as sent", _PERMISSION, _AS_SENT.preview, _AS_SENT.run, ("inbox",)),
    LiveAction("send-again", "Send unknown again", _PERMISSION, _AGAIN.preview, _AGAIN.run, ("inbox",)),
)
