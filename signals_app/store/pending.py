"""Pages of the pending deliveries of a group, for display."""

from dataclasses import dataclass
from typing import Any, Self

from django_redis import get_redis_connection
from redis.exceptions import ResponseError

from avo_project.redis_client.scripts import read_lua
from signals_app import keys
from signals_app.domain.entry import is_highest
from signals_app.domain.names import escaped, unescaped
from signals_app.store.group import is_group_missing


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """``deliveries`` is the delivery count; ``symbol`` and ``signal_id`` are fields of the entry, escaped and
    truncated, empty if missing."""

    entry_id: str
    consumer: str
    idle_seconds: float
    deliveries: int
    symbol: str
    signal_id: str


class PendingDeliveries:
    """Reads one page per call, at a cost independent of the number of pending entries."""

    def __init__(self, client: Any) -> None:
        self._page = client.register_script(read_lua("signals_app", "pending_page"))

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS))

    def page(self, group: str, *, after: str, count: int, consumer: str = "") -> list[PendingDelivery]:
        """At most ``count``, oldest first, after the id ``after``; empty for a group that does not exist."""
        if is_highest(after):
            return []
        try:
            rows = self._page(keys=[keys.LIVE], args=[unescaped(group), after, count, unescaped(consumer)])
        except ResponseError as error:
            if is_group_missing(error) or "NOGROUP" in str(error):
                return []
            raise
        return [_delivery(*row) for row in rows]


def _delivery(
    entry_id: bytes, consumer: bytes, idle_ms: int, deliveries: int, symbol: bytes, signal_id: bytes
) -> PendingDelivery:
    return PendingDelivery(
        entry_id.decode(), escaped(consumer), idle_ms / 1000, deliveries, escaped(symbol), escaped(signal_id)
    )
