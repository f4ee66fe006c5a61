"""What an operator may do to the live stream from its admin page."""

from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpRequest

from avo_project.live_state_admin import LiveAction
from signals_app import operations
from signals_app.group import NameTakenError
from signals_app.replay_groups import ReplayRefusedError
from signals_app.stream import StreamFullError


@dataclass(frozen=True, slots=True)
class StreamAction(LiveAction):
    """An action that asks for some values on its confirmation page."""

    inputs: tuple[str, ...] = ()


def _asking(name: str, label: str, permission: str, why: str, do: Callable[..., str], *inputs: str) -> StreamAction:
    def run(request: HttpRequest) -> str:
        given = [request.POST.get(one, "").strip() for one in inputs]
        if not all(given):
            raise ValueError(f"fill in {', '.join(one.replace('_', ' ') for one in inputs)}")
        try:
            return do(*given)
        except (NameTakenError, ReplayRefusedError, StreamFullError) as refused:
            raise ValueError(str(refused)) from refused

    return StreamAction(name, label, permission, lambda request: why, run, inputs)


ACTIONS: tuple[StreamAction, ...] = (
    StreamAction(
        "trim", "Trim the stream", "trim_stream",
        lambda request: operations.describe_trim(), lambda request: operations.trim(),
    ),
    _asking(
        "claim", "Free a dead consumer's deliveries", "claim_deliveries",
        "What a consumer without a heartbeat holds can be claimed by the others at once, without waiting.",
        operations.free_consumer, "group", "consumer",
    ),
    _asking(
        "acknowledge", "Acknowledge a delivery", "acknowledge_deliveries",
        "The group will never handle this entry.", operations.acknowledge, "group", "entry_id",
    ),
    _asking(
        "bury", "Bury a delivery", "bury_deliveries",
        "The entry goes to the dead letters with your reason and is acknowledged for the group.",
        operations.bury, "group", "entry_id", "reason",
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
        "The group is dropped with everything it has not handled, and holds back no trim any more.",
        operations.forget_group, "group",
    ),
)  # fmt: skip
