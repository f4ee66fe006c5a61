"""Replays of a range of the stream: starting one, and limiting a consumer to its range."""

from signals_app.domain.delivery import Delivery
from signals_app.domain.entry import order, parse_bound
from signals_app.domain.names import check_name
from signals_app.store.replay_groups import ReplayGroups
from signals_app.store.stream import SignalStream

_PAGE = 1_000


def start_replay(stream: SignalStream, replays: ReplayGroups, group: str, first: str, last: str) -> int:
    """Deliver the entries from ``first`` to ``last`` (entry ids or ISO times, inclusive) to the group.

    Returns the number of entries; no group is created for an empty range. Raises ValueError for an invalid group name
    or invalid bounds, ReplayRefusedError when the group is not free.
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


class ReplayWindow:
    """Limits the deliveries of a replay group to its range; other groups are not limited."""

    def __init__(self, replays: ReplayGroups, group: str) -> None:
        self._replays = replays
        self._group = group
        self._end: str | None = None
        self._is_known = False

    def within(self, deliveries: list[Delivery]) -> list[Delivery]:
        """The deliveries within the range; the first one beyond it finishes the replay."""
        if deliveries and not self._is_known:
            self._look()
        if self._end is None or not self._beyond(deliveries):
            return deliveries
        self._look()  # the group may have been given a new range
        beyond = self._beyond(deliveries)
        if self._end is not None and beyond:
            self._replays.finish(self._group, self._end, [delivery.entry_id for delivery in beyond])
        return [delivery for delivery in deliveries if delivery not in beyond]

    def _look(self) -> None:
        self._end = self._replays.end_of(self._group)
        self._is_known = True

    def _beyond(self, deliveries: list[Delivery]) -> list[Delivery]:
        if self._end is None:
            return []
        end = order(self._end)
        return [delivery for delivery in deliveries if order(delivery.entry_id) > end]
