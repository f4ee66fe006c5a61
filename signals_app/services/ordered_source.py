"""Delivery source of ``consume_signals --ordered``: keeps the order of the stream within each symbol."""

import logging
from collections.abc import Iterator, Sequence

from signals_app.domain.delivery import Delivery
from signals_app.services.source import DeliverySource, FetchOptions, Member, ReplayWindow
from signals_app.store.group import ConsumerGroup

logger = logging.getLogger(__name__)

_MAX_HELD_BACK = 300  # a check costs Redis about 10 us for each pending entry
_FIRST_POLL_MS = 5
_MAX_POLL_MS = 200


class OrderedSource(DeliverySource):
    """Delivers an entry once no earlier entry of its symbol is pending in the group, whichever consumer holds it.

    Entries that must wait are held back. New ones are tracked as in flight, so that they are renewed, and released
    without counting; redeliveries are kept as ids, without a delivery.
    """

    def __init__(self, group: ConsumerGroup, member: Member, window: ReplayWindow, options: FetchOptions) -> None:
        super().__init__(group, member, window, options)
        self._held_back: dict[str, Delivery | None] = {}
        self._poll_ms = _FIRST_POLL_MS

    def start_over(self, now: float, *, keep_delayed: bool) -> None:
        super().start_over(now, keep_delayed=keep_delayed)
        self._held_back.clear()

    @property
    def has_backlog(self) -> bool:
        return bool(self._held_back) or super().has_backlog

    @property
    def is_full(self) -> bool:
        return len(self._held_back) >= _MAX_HELD_BACK or super().is_full

    def will_read(self, now: float) -> bool:
        return not self._held_back and super().will_read(now)

    def take(self, now: float, done: Sequence[str] = ()) -> list[Delivery]:
        """At most one delivery per symbol. Entries in ``done`` no longer block later ones of their symbol."""
        if self._requeued:
            return super().take(now)
        self._fill_backlog(now)
        while self._backlog:
            self._held_back[self._backlog.popleft()] = None
        ready = self._ready()
        if not ready and not self.is_full:
            self._hold_back(self._read(now, done))
            ready = self._ready()
        self._poll_ms = _FIRST_POLL_MS if ready else min(2 * self._poll_ms, _MAX_POLL_MS)
        return ready

    def _known(self) -> set[str]:
        return super()._known() | self._held_back.keys()

    def _hold_back(self, deliveries: Sequence[Delivery]) -> None:
        new = {delivery.entry_id: delivery for delivery in deliveries}
        self._member.track(new)
        self._held_back |= new

    def _ready(self) -> list[Delivery]:
        """One redelivery, or else all new entries that are not blocked, up to ``count``."""
        if not self._held_back:
            return []
        asked = list(self._oldest_of_symbols())
        first, gone = self._group.first_of_symbols(self._member.name, asked, count=self._options.count)
        self._untrack(gone)
        for entry_id in first:
            if self._held_back[entry_id] is None:
                del self._held_back[entry_id]
                return self._deliver_again(entry_id)
        found = [self._held_back.pop(entry_id) for entry_id in first]
        return [delivery for delivery in found if delivery is not None]

    def _oldest_of_symbols(self) -> Iterator[str]:
        """The oldest held-back entry of each symbol; only these can be unblocked. Redeliveries have no known symbol."""
        symbols = set[bytes | None]()
        for entry_id, delivery in self._held_back.items():
            symbol = None if delivery is None else _symbol_of(delivery)
            if symbol is None or symbol not in symbols:
                symbols.add(symbol)
                yield entry_id

    def _untrack(self, gone: Sequence[str]) -> None:
        if gone:
            logger.warning("%d held-back entries were claimed or acknowledged elsewhere", len(gone))
        self._member.untrack(gone)
        for entry_id in gone:
            del self._held_back[entry_id]

    def _block_ms(self, now: float) -> int:
        """Poll while entries are held back: another consumer may unblock them at any moment."""
        until_due_ms = super()._block_ms(now)
        return min(self._poll_ms, until_due_ms) if self._held_back else until_due_ms


def _symbol_of(delivery: Delivery) -> bytes | None:
    """The symbol field; the last one if it is repeated."""
    return dict(zip(delivery.fields[::2], delivery.fields[1::2], strict=False)).get(b"symbol")
