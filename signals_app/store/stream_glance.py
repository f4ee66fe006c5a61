"""The figures of the stream for a page that refreshes itself: eleven commands at most, however many groups."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from django_redis import get_redis_connection

from avo_project.lua import read_lua
from signals_app import keys
from signals_app.conf import read_conf
from signals_app.rules.entry_id import order
from signals_app.rules.escaped_text import escaped
from signals_app.rules.lag import ConsumerFigures, GroupFigures, StreamFigures, UnaskedGroup
from signals_app.store.stream_state import StreamState, delivered, first_id, read_state

MOST_ASKED = 3
"""How many groups a page looks at closely."""

_Asked = tuple[Mapping[str, Any] | None, bytes]  # XPENDING's summary, and the id of the first entry not delivered


class StreamGlance:
    """Nothing is counted: lag is the server's own figure. Of the groups that have work only the ``most_asked`` furthest
    behind are asked how old it is and who holds it."""

    def __init__(self, client: Any, *, heartbeat_ttl_ms: int, most_asked: int = MOST_ASKED) -> None:
        self._client = client
        self._most_asked = most_asked
        self._heartbeat_ttl_ms = heartbeat_ttl_ms
        self._now = client.register_script(read_lua("signals_app", "now"))

    @classmethod
    def connect(cls, *, most_asked: int = MOST_ASKED) -> Self:
        client, conf = get_redis_connection(keys.REDIS_ALIAS), read_conf()
        return cls(client, heartbeat_ttl_ms=conf.heartbeat_ttl_ms, most_asked=most_asked)

    def read(self) -> StreamFigures:
        """A stream that does not exist has no entries and no groups."""
        state = read_state(self._client, self._now, self._heartbeat_ttl_ms)
        if state is None:
            return StreamFigures(keys.LIVE, 0, ())
        busy = [group for group in state.groups if group["pending"] or state.is_behind(group)]
        busy.sort(key=lambda group: order(delivered(group)))
        asked = self._ask(busy[: self._most_asked], state)
        groups = [_figures(group, state, asked.get(group["name"]), group in busy) for group in state.groups]
        return StreamFigures(keys.LIVE, state.length, groups, state.added)

    def _ask(self, groups: Sequence[Mapping[str, Any]], state: StreamState) -> dict[bytes, _Asked]:
        with self._client.pipeline(transaction=False) as pipeline:
            for group in groups:
                if group["pending"]:
                    pipeline.xpending(keys.LIVE, group["name"])
                if state.is_behind(group):
                    pipeline.xrange(keys.LIVE, f"({delivered(group)}", count=1)
            replies = iter(pipeline.execute())
        return {
            group["name"]: (
                next(replies) if group["pending"] else None,
                first_id(next(replies)) if state.is_behind(group) else b"",
            )
            for group in groups
        }


def _figures(group: Mapping[str, Any], state: StreamState, asked: _Asked | None, is_busy: bool) -> GroupFigures:
    name, is_known = escaped(group["name"]), asked is not None or not is_busy
    pending, undelivered = asked or (None, b"")
    certain = 0 if asked and not undelivered else state.lag(group)
    held = {escaped(one["name"]): one["pending"] for one in (pending or {}).get("consumers", ())}
    return (GroupFigures if is_known else UnaskedGroup)(
        name=name,
        pending=group["pending"],
        lag=group.get("lag") if certain is None else certain,
        lag_exact=certain is not None,
        oldest_pending_seconds=state.age_seconds((pending or {}).get("min")),
        oldest_undelivered_seconds=state.age_seconds(undelivered),
        drain_seconds=None,
        consumers=_consumers(name, held, state) if is_known else (),
        consumers_alive=sum(state.members.is_alive(name, consumer) for consumer in state.members.of(name)),
        deaths=state.members.deaths(name, held if is_known else None),
    )


def _consumers(group: str, held: Mapping[str, int], state: StreamState) -> list[ConsumerFigures]:
    names = sorted({*state.members.of(group), *held})
    return [ConsumerFigures(name, held.get(name, 0), None, state.members.is_alive(group, name)) for name in names]
