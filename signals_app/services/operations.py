"""Operator actions on the live stream. Each returns a sentence about its result."""

from signals_app import keys
from signals_app.conf import SignalsConf
from signals_app.domain.entry import order, parse_bound
from signals_app.domain.lag import ACTIVE_SECONDS
from signals_app.domain.names import check_name
from signals_app.services import inspection
from signals_app.store.dead_letters import DeadLetters
from signals_app.store.group import ConsumerGroup, ReplayGroups
from signals_app.store.stream import SignalStream

_PAGE = 1_000


class OperationRejectedError(ValueError):
    """The operation is not possible; nothing was changed. The message says what to do instead."""


def describe_trim() -> str:
    length, soft_cap = SignalStream.connect().length(), SignalsConf.load().soft_cap
    return f"The stream has {length} entries. It is trimmed to about {soft_cap}; unhandled entries are kept."


def trim() -> str:
    """Trim to the soft cap."""
    return f"{SignalStream.connect().trim()} entries were trimmed."


def pending_of(group: str, consumer: str) -> int:
    """The number of pending deliveries of a consumer. Raises OperationRejectedError when it does not exist."""
    held = [one.pending for one in _known(group).consumers if one.name == consumer]
    if not held:
        raise OperationRejectedError(f"group {group} has no consumer {consumer!r}")
    return held[0]


def free_consumer(group: str, consumer: str) -> str:
    """Make the deliveries of an expired consumer claimable. Raises NameTakenError when it is alive,
    OperationRejectedError when it may be alive without a heartbeat."""
    known = _known(group)
    held = [one for one in known.consumers if one.name == consumer and one.pending and not one.alive]
    if held and not known.may_be_freed(held[0]):
        raise OperationRejectedError(
            f"{consumer} of group {group} sends no heartbeat but was active {held[0].idle_seconds:.0f} s ago, "
            "so it may be working. Its own program can claim the entries (XAUTOCLAIM)"
        )
    freed = ConsumerGroup.connect(group).free(consumer)
    return f"{freed} deliveries of {consumer} can be claimed at once."


def describe_delivery(group: str, entry_id: str) -> str:
    """The holder and the delivery count. Raises OperationRejectedError when the entry is not pending."""
    consumer, deliveries = _holder_of(group, entry_id)
    return f"{consumer} of group {group} holds {entry_id}, delivered {deliveries} times."


def acknowledge(group: str, entry_id: str) -> str:
    """Acknowledge a delivery without handling it."""
    _holder_of(group, entry_id)
    if not ConsumerGroup.connect(group).acknowledge([_checked(entry_id)]):
        raise OperationRejectedError(f"{entry_id} is not pending in group {group}")
    return f"{entry_id} is acknowledged for group {group}."


def move_to_dead_letters(group: str, entry_id: str, reason: str) -> str:
    """Move a delivery to the dead letters."""
    consumer, deliveries = _holder_of(group, entry_id)
    if not ConsumerGroup.connect(group).move_to_dead_letters(
        consumer, entry_id, reason=f"by-hand: {reason}", deliveries=deliveries
    ):
        raise OperationRejectedError(f"{entry_id} was finished or claimed meanwhile; reload the page")
    return f"{entry_id} is in the dead letters."


def redrive(letter_id: str) -> str:
    """Publish one dead letter again. Raises StreamFullError."""
    entry_id = DeadLetters.connect().redrive(_checked(letter_id))
    if entry_id is None:
        raise OperationRejectedError(f"there is no dead letter {letter_id}, or it cannot be published")
    return f"Dead letter {letter_id} is published again as {entry_id}."


def replay(group: str, first: str, last: str) -> str:
    """Replay a range to a group. Raises ValueError for invalid bounds, ReplayRejectedError for a busy group."""
    entries = start_replay(SignalStream.connect(), ReplayGroups.connect(), group, first, last)
    return f"Group {group} gets {entries} entries again."


def start_replay(stream: SignalStream, replays: ReplayGroups, group: str, first: str, last: str) -> int:
    """Deliver the entries from ``first`` to ``last`` (entry ids or ISO times, inclusive) to the group.

    Returns the number of entries; no group is created for an empty range. Raises ValueError for an invalid group name
    or invalid bounds, ReplayRejectedError when the group is not free.
    """
    check_name("--group", group)
    from_id, to_id = parse_bound(first, is_last=False), parse_bound(last, is_last=True)
    if order(from_id) > order(to_id):
        raise ValueError(f"--from {first} is after --to {last}")
    entries = _count(stream, from_id, to_id)
    if entries:
        replays.start(group, from_id, to_id)
    return entries


def _count(stream: SignalStream, from_id: str, to_id: str) -> int:
    counted = 0
    while entries := stream.between(from_id, to_id, _PAGE):
        counted += len(entries)
        from_id = f"({entries[-1].entry_id}"
    return counted


def describe_forgetting(group: str) -> str:
    """Raises OperationRejectedError for a group that cannot be forgotten."""
    if group == keys.DEFAULT_GROUP:
        raise OperationRejectedError(f"{group} books the executions and is made again by the next publisher; keep it")
    figures = _known(group)
    if figures.kind == "external" and (active := [one.name for one in figures.consumers if one.is_active]):
        raise OperationRejectedError(
            f"{active[0]} read group {group} less than {ACTIVE_SECONDS:.0f} s ago; stop its program first"
        )
    lag = "an unknown number" if figures.lag is None else figures.lag
    return f"Group {group} gets neither its {figures.pending} pending deliveries nor the {lag} not delivered yet."


def forget_group(group: str) -> str:
    """Destroy a group with its pending entries. Raises OperationRejectedError, and NameTakenError when one of its
    consumers is alive."""
    describe_forgetting(group)
    ConsumerGroup.connect(group).forget()
    return f"Group {group} is forgotten."


def _known(name: str) -> inspection.GroupFigures:
    found = [group for group in inspection.figures().groups if group.name == name]
    if not found:
        raise OperationRejectedError(f"there is no group {name!r}")
    return found[0]


def _holder_of(group: str, entry_id: str) -> tuple[str, int]:
    """The consumer that holds an entry, and its delivery count. Raises OperationRejectedError when the entry is not
    pending, or when another program may be working on it."""
    known = _known(group)
    holder = ConsumerGroup.connect(group).holder_of(_checked(entry_id))
    if holder is None:
        raise OperationRejectedError(f"{entry_id} is not pending in group {group}")
    if known.is_in_use_elsewhere(holder[0]):
        raise OperationRejectedError(f"{holder[0]} of group {group} belongs to another program, which is working on it")
    return holder


def _checked(entry_id: str) -> str:
    order(entry_id)
    return entry_id
