"""Reads the figures of the stream and its groups out of Redis, in three round trips, one a group, some counting."""

from collections.abc import Collection, Mapping
from typing import Any, Self

from django_redis import get_redis_connection

from avo_project.lua import read_lua
from signals_app import keys
from signals_app.conf import read_conf
from signals_app.rules.drain import drain_seconds
from signals_app.rules.escaped_text import escaped
from signals_app.rules.lag import ConsumerFigures, GroupFigures, StreamFigures
from signals_app.store.stream_state import (
    StreamState,
    delivered,
    first_id,
    idle_seconds,
    no_stream,
    read_state,
    stream_figures,
)

_PAGE = 500


class FiguresReader:
    """Lag is counted exactly up to ``count_up_to`` entries; beyond that the server's estimate has to do."""

    def __init__(
        self, client: Any, *, heartbeat_ttl_ms: int, count_up_to: int = 10_000, external: Collection[str] = ()
    ) -> None:
        self._client = client
        self._external = external
        self._heartbeat_ttl_ms = heartbeat_ttl_ms
        self._count_up_to = count_up_to
        self._now = client.register_script(read_lua("signals_app", "now"))
        self._count_after = client.register_script(read_lua("signals_app", "count_after"))

    @classmethod
    def connect(cls, *, count_up_to: int = 10_000) -> Self:
        client, conf = get_redis_connection(keys.REDIS_ALIAS), read_conf()
        return cls(
            client,
            heartbeat_ttl_ms=conf.heartbeat_ttl_ms,
            count_up_to=count_up_to,
            external=conf.external_groups,
        )

    def read(self) -> StreamFigures:
        """A stream that does not exist has no entries and no groups."""
        state = read_state(self._client, self._now, self._heartbeat_ttl_ms, self._external)
        if state is None:
            return no_stream(self._client)
        groups = [self._group(group, state) for group in state.groups]
        return stream_figures(state, groups)

    def _group(self, group: Mapping[str, Any], state: StreamState) -> GroupFigures:
        name, after = escaped(group["name"]), delivered(group)
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.xpending(keys.LIVE, group["name"])
            pipeline.xinfo_consumers(keys.LIVE, group["name"]).hget(keys.PACES, group["name"])
            if state.is_behind(group):
                pipeline.xrange(keys.LIVE, f"({after}", count=1)
            pending, rows, notes, *undelivered = pipeline.execute()
        lag, is_exact = self._lag(group, state)
        read, held = 0 if after == "0-0" else group.get("entries-read"), pending["pending"]
        consumers = [_consumer(row, name, state) for row in rows]
        return GroupFigures(
            name=name,
            pending=held,
            lag=lag,
            lag_exact=is_exact,
            oldest_pending_seconds=state.age_seconds(pending["min"]),
            oldest_undelivered_seconds=state.age_seconds(first_id(undelivered[0]) if undelivered else None),
            drain_seconds=drain_seconds(
                (notes or b"").decode(),
                handled=None if read is None else read - held,
                waiting=None if lag is None else lag + held,
                now_ms=state.now_ms,
            ),
            consumers=consumers,
            consumers_alive=sum(one.alive for one in consumers),
            deaths=state.members.deaths(name, {one.name: one.pending for one in consumers}),
            kind=state.kind(name, consumers),
        )

    def _lag(self, group: Mapping[str, Any], state: StreamState) -> tuple[int | None, bool]:
        certain = state.lag(group)
        if certain is not None:
            return certain, True
        counted = self._counted_after(delivered(group))
        if counted <= self._count_up_to:
            return counted, True
        return group.get("lag"), False  # None where the server gave up knowing

    def _counted_after(self, entry_id: str) -> int:
        counted = 0
        while counted <= self._count_up_to:
            page, last = self._count_after(keys=[keys.LIVE], args=[entry_id, _PAGE])
            counted += page
            if page < _PAGE:
                break
            entry_id = last.decode()
        return counted


def _consumer(row: Mapping[str, Any], group: str, state: StreamState) -> ConsumerFigures:
    name = escaped(row["name"])
    return ConsumerFigures(name, row["pending"], idle_seconds(row), state.members.is_alive(group, name))
