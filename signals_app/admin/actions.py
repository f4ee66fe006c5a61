"""Operator actions of the admin page of the live stream."""

from collections.abc import Callable

from django.http import HttpRequest

from avo_project.console.actions import ActionResult
from avo_project.console.live_admin import LiveAction
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
