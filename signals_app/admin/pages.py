"""The stream, with its operator actions, and the executions in the admin."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from avo_project.console.actions import ActionResult
from avo_project.console.live_admin import LiveAction, LiveStateAdmin, Panel
from signals_app.admin import panels
from signals_app.admin.panels import Search
from signals_app.models import Execution, LiveStream
from signals_app.services import operations

Preview = Callable[[HttpRequest], ActionResult | str]


def _asking(
    name: str, label: str, permission: str, why: str | Preview, do: Callable[..., str], *inputs: str
) -> LiveAction:
    def run(request: HttpRequest) -> str:
        return do(*(request.POST[one].strip() for one in inputs))

    asked = tuple(one for one in inputs if one != "reason")  # every action asks for it
    preview = (lambda request: why) if isinstance(why, str) else why
    return LiveAction(name, label, permission, preview, run, asked)


def _free_preview(request: HttpRequest) -> ActionResult:
    group, consumer = request.POST["group"].strip(), request.POST["consumer"].strip()
    held = operations.pending_of(group, consumer)
    return ActionResult("Other consumers can claim its entries at once, without waiting, if it has no heartbeat.", held)


def _delivery(consequence: str) -> Preview:
    def preview(request: HttpRequest) -> ActionResult:
        group, entry_id = request.POST["group"].strip(), request.POST["entry_id"].strip()
        return ActionResult(f"{operations.describe_delivery(group, entry_id)} {consequence}", 1)

    return preview


def _forget_preview(request: HttpRequest) -> str:
    return operations.describe_forgetting(request.POST["group"].strip())


ACTIONS: tuple[LiveAction, ...] = (
    LiveAction(
        "trim", "Trim the stream", "trim_stream",
        lambda request: operations.describe_trim(), lambda request: operations.trim(),
    ),
    _asking(
        "claim", "Free the deliveries of an expired consumer", "claim_deliveries",
        _free_preview, operations.free_consumer, "group", "consumer",
    ),
    _asking(
        "acknowledge", "Acknowledge a delivery", "acknowledge_deliveries",
        _delivery("The group will never handle it."), operations.acknowledge, "group", "entry_id",
    ),
    _asking(
        "move_to_dead_letters", "Move a delivery to the dead letters", "bury_deliveries",
        _delivery("It goes to the dead letters with your reason and is acknowledged for the group."),
        operations.move_to_dead_letters, "group", "entry_id", "reason",
    ),
    _asking(
        "redrive", "Redrive a dead letter", "redrive_dead_letters",
        "The event is published again, for every group, and its dead letter is removed.",
        operations.redrive, "letter_id",
    ),
    _asking(
        "replay", "Replay a range", "replay_events",
        "A group of its own gets the entries between two ids or times (UTC) again.",
        operations.replay, "group", "from", "to",
    ),
    _asking(
        "forget", "Forget a group", "forget_groups",
        _forget_preview, operations.forget_group, "group",
    ),
)  # fmt: skip


@admin.register(LiveStream)
class LiveStreamAdmin(LiveStateAdmin):
    console_role = "signals"
    live_actions: Sequence[LiveAction] = ACTIONS
    page_template = "admin/signal_stream.html"

    def panels(self, request: HttpRequest) -> Sequence[Panel]:
        may_see_payload = request.user.has_perm("signals_app.view_event_payload")
        return panels.panels(Search.of(request.GET), partial(self.button, request), may_see_payload)


_PAYLOAD = ("direction", "confidence")


def _hidden(request: HttpRequest) -> tuple[str, ...]:
    return () if request.user.has_perm("signals_app.view_event_payload") else _PAYLOAD


@admin.register(Execution)
class ExecutionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Read-only, because a row is the record of an execution."""

    search_fields = ("symbol", "signal_id")
    ordering = ("-executed_at",)
    date_hierarchy = None
    show_full_result_count = False

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        return ("executed_at", "symbol", *(() if _hidden(request) else _PAYLOAD), "signal_id")

    def get_list_filter(self, request: HttpRequest) -> tuple[str, ...]:
        return () if _hidden(request) else ("direction",)

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return _hidden(request)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refuses filters on hidden fields, because their results would reveal the values."""
        return lookup.split("__")[0] not in _hidden(request) and super().lookup_allowed(lookup, value, request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
