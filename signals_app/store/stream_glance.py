"""The figures of the stream for a page that refreshes itself: seventeen commands at most, however many groups."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from django_redis import get_redis_connection

from avo_project.lua import read_lua
from signals_app import keys
from signals_app.conf import read_conf
from signals_app.rules.entry_id import order
from signals_app.rules.escaped_text import escaped
from signals_app.rules.lag import ConsumerFigures, GroupFigures, StreamFigures, UnaskedGroup
from signals_app.store.stream_state import (
    StreamState,
    delivered,
    first_id,
    idle_seconds,
    no_stream,
    read_state,
    stream_figures,
)

MOST_ASKED = 3
"""How many groups a page looks at closely."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """XPENDING's summary, the id of the first entry not delivered, and since when each consumer is idle."""

    pending: Mapping[str, Any]
    undelivered: bytes
    idle_seconds: Mapping[str, float]


class StreamGlance:
    """Nothing is counted: lag is the server's own figure. Of the groups that have work only the ``most_asked`` furthest
    behind are asked how old it is and who holds it."""

    def __init__(
        self, client: Any, *, heartbeat_ttl_ms: int, most_asked: int = MOST_ASKED, external: Collection[str] = ()
    ) -> None:
        self._client = client
        self._external = external
        self._most_asked = most_asked
        self._heartbeat_ttl_ms = heartbeat_ttl_ms
        self._now = client.register_script(read_lua("signals_app", "now"))

    @classmethod
    def connect(cls, *, most_asked: int = MOST_ASKED) -> Self:
        client, conf = get_redis_connection(keys.REDIS_ALIAS), read_conf()
        return cls(client, heartbeat_ttl_ms=conf.heartbeat_ttl_ms, most_asked=most_asked, external=conf.external_groups)

    def read(self) -> StreamFigures:
        """A stream that does not exist has no entries and no groups."""
        state = read_state(self._client, self._now, self._heartbeat_ttl_ms, self._external)
        if state is None:
            return no_stream(self._client)
        busy = [group for group in state.groups if group["pending"] or state.is_behind(group)]
        busy.sort(key=lambda group: order(delivered(group)))
        asked = self._ask(busy[: self._most_asked], state)
        groups = [_figures(group, state, asked.get(group["name"]), group in busy) for group in state.groups]
        return stream_figures(state, groups)

    def _ask(self, groups: Sequence[Mapping[str, Any]], state: StreamState) -> dict[bytes, _Asked]:
        with self._client.pipeline(transaction=False) as pipeline:
            for group in groups:
                if group["pending"]:
                    pipeline.xpending(keys.LIVE, group["name"])
                if state.is_behind(group):
                    pipeline.xrange(keys.LIVE, f"({delivered(group)}", count=1)
                if _has_silent(group, state):
                    pipeline.xinfo_consumers(keys.LIVE, group["name"])
            replies = iter(pipeline.execute())
        return {
            group["name"]: _Asked(
                next(replies) if group["pending"] else {},
                first_id(next(replies)) if state.is_behind(group) else b"",
                {escaped(row["name"]): idle_seconds(row) for row in next(replies)} if _has_silent(group, state) else {},
            )
            for group in groups
        }


def _alive(name: str, state: StreamState) -> int:
    return sum(state.members.is_alive(name, consumer) for consumer in state.members.of(name))


def _has_silent(group: Mapping[str, Any], state: StreamState) -> bool:
    """Whether it has consumers of which only Redis can tell whether they are active."""
    return bool(group["consumers"] > _alive(escaped(group["name"]), state))


def _figures(group: Mapping[str, Any], state: StreamState, asked: _Asked | None, is_busy: bool) -> GroupFigures:
    name, is_known = escaped(group["name"]), asked is not None or not is_busy
    certain = 0 if asked and not asked.undelivered else state.lag(group)
    asked = asked or _Asked({}, b"", {})
    held = {escaped(one["name"]): one["pending"] for one in asked.pending.get("consumers", ())}
    consumers = _consumers(name, held, asked.idle_seconds, state) if is_known else ()
    return (GroupFigures if is_known else UnaskedGroup)(
        name=name,
        pending=group["pending"],
        lag=group.get("lag") if certain is None else certain,
        lag_exact=certain is not None,
        oldest_pending_seconds=state.age_seconds(asked.pending.get("min")),
        oldest_undelivered_seconds=state.age_seconds(asked.undelivered),
        drain_seconds=None,
        consumers=consumers,
        consumers_alive=_alive(name, state),
        deaths=state.members.deaths(name, held if is_known else None),
        kind=state.kind(name, consumers),
    )


def _consumers(
    group: str, held: Mapping[str, int], idle: Mapping[str, float], state: StreamState
) -> list[ConsumerFigures]:
    names = sorted({*state.members.of(group), *held, *idle})
    return [
        ConsumerFigures(name, held.get(name, 0), idle.get(name), state.members.is_alive(group, name)) for name in names
    ]
