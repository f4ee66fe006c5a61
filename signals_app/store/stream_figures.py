"""Reads the figures of the stream, its groups and consumers in few round trips."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from django_redis import get_redis_connection
from redis.cluster import RedisCluster
from redis.exceptions import ResponseError

from avo_project.redis_client.scripts import read_lua
from signals_app import keys
from signals_app.conf import SignalsConf
from signals_app.domain.entry import LAST, age_seconds, order
from signals_app.domain.heartbeats import Heartbeats
from signals_app.domain.lag import (
    ConsumerFigures,
    GroupFigures,
    GroupKind,
    GroupOverview,
    StreamFigures,
    drain_seconds,
    group_kind,
)
from signals_app.domain.names import escaped


@dataclass(frozen=True, slots=True)
class StreamState:
    """``first`` and ``newest`` are entry ids, ``first`` empty in an empty stream; ``groups`` are the rows of XINFO
    GROUPS; ``added`` is the number of entries ever added, None if the server does not count them; ``external`` are the
    groups declared as read by programs without heartbeats."""

    length: int
    first: str
    newest: str
    added: int | None
    groups: Sequence[Mapping[str, Any]]
    members: Heartbeats
    now_ms: int
    dead_letters: int
    external: Collection[str]

    @property
    def is_exhausted(self) -> bool:
        return self.newest == LAST

    def kind(self, group: str, consumers: Sequence[ConsumerFigures]) -> GroupKind:
        return group_kind(group, consumers, members=self.members, external=self.external)

    def is_behind(self, group: Mapping[str, Any]) -> bool:
        """Whether undelivered entries may wait."""
        return bool(self.first) and order(delivered(group)) < order(self.newest)

    def lag(self, group: Mapping[str, Any]) -> int | None:
        """The lag if it is known without counting, otherwise None."""
        if not self.is_behind(group):
            return 0
        return self.length if order(delivered(group)) < order(self.first) else None

    def age_seconds(self, entry_id: bytes | str | None) -> float | None:
        if not entry_id:
            return None
        return age_seconds(entry_id.decode() if isinstance(entry_id, bytes) else entry_id, self.now_ms)


def read_state(client: Any, now: Any, heartbeat_ttl_ms: int, external: Collection[str] = ()) -> StreamState | None:
    """Read the state; None when there is no stream. ``now`` is the script of that name."""
    try:
        groups = client.xinfo_groups(keys.LIVE)
    except ResponseError as error:
        if "no such key" in str(error):
            return None
        raise
    with client.pipeline(transaction=False) as pipeline:
        pipeline.xinfo_stream(keys.LIVE).hgetall(keys.MEMBERS).xlen(keys.DEAD)
        info, members, dead_letters = pipeline.execute()
    now_ms = _server_ms(client, now)
    return StreamState(
        length=info["length"],
        first=info["first-entry"][0].decode() if info["first-entry"] else "",
        newest=info["last-generated-id"].decode(),
        added=info.get("entries-added"),
        groups=groups,
        members=Heartbeats(members, heartbeat_ttl_ms=heartbeat_ttl_ms, now_ms=now_ms),
        now_ms=now_ms,
        dead_letters=dead_letters,
        external=external,
    )


def _server_ms(client: Any, now: Any) -> int:
    """The time of the server that has the stream. Outside a cluster, TIME saves the script call."""
    if isinstance(client, RedisCluster):
        return int(now(keys=[keys.LIVE]))
    seconds, microseconds = client.time()
    return int(seconds * 1000 + microseconds // 1000)


def idle_seconds(row: Mapping[str, Any]) -> float:
    """Time since the last activity, from a row of XINFO CONSUMERS. From 7.2 on ``idle`` is the last attempt and
    ``inactive`` the last successful read, -1 for none; 7.0 has ``idle`` alone."""
    heard_ms = [row["idle"], *(ms for ms in [row.get("inactive", -1)] if ms >= 0)]
    return float(min(heard_ms)) / 1000


def delivered(group: Mapping[str, Any]) -> str:
    entry_id: str = group["last-delivered-id"].decode()
    return entry_id


def first_id(rows: Sequence[tuple[bytes, object]]) -> bytes:
    return rows[0][0] if rows else b""


def stream_figures(state: StreamState, groups: Sequence[GroupFigures]) -> StreamFigures:
    return StreamFigures(
        stream=keys.LIVE,
        length=state.length,
        groups=groups,
        added=state.added,
        dead_letters=state.dead_letters,
        is_exhausted=state.is_exhausted,
    )


def no_stream(client: Any) -> StreamFigures:
    """Figures without a stream; the dead letters may exist."""
    return StreamFigures(keys.LIVE, 0, (), added=0, dead_letters=client.xlen(keys.DEAD))


_PAGE = 500


class FiguresReader:
    """Reads exact figures. Lag is counted up to ``count_up_to`` entries; beyond that the server's estimate is used."""

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
        client, conf = get_redis_connection(keys.REDIS_ALIAS), SignalsConf.load()
        return cls(
            client,
            heartbeat_ttl_ms=conf.heartbeat_ttl_ms,
            count_up_to=count_up_to,
            external=conf.external_groups,
        )

    def read(self) -> StreamFigures:
        """The figures now; a stream that does not exist has no entries and no groups."""
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
            expired_consumers=state.members.expired_consumers(name, {one.name: one.pending for one in consumers}),
            kind=state.kind(name, consumers),
        )

    def _lag(self, group: Mapping[str, Any], state: StreamState) -> tuple[int | None, bool]:
        certain = state.lag(group)
        if certain is not None:
            return certain, True
        counted = self._counted_after(delivered(group))
        if counted <= self._count_up_to:
            return counted, True
        return group.get("lag"), False  # None if the server does not know it

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


MAX_DETAILED = 3
"""How many groups an overview reads in detail."""


@dataclass(frozen=True, slots=True)
class _GroupDetails:
    """XPENDING summary, id of the first undelivered entry, and idle times by consumer."""

    pending: Mapping[str, Any]
    undelivered: bytes
    idle_seconds: Mapping[str, float]


class StreamSummary:
    """Reads an overview in few commands. Lag is the server's own figure; only the ``max_detailed`` groups furthest
    behind are read in detail (ages and holders)."""

    def __init__(
        self, client: Any, *, heartbeat_ttl_ms: int, max_detailed: int = MAX_DETAILED, external: Collection[str] = ()
    ) -> None:
        self._client = client
        self._external = external
        self._max_detailed = max_detailed
        self._heartbeat_ttl_ms = heartbeat_ttl_ms
        self._now = client.register_script(read_lua("signals_app", "now"))

    @classmethod
    def connect(cls, *, max_detailed: int = MAX_DETAILED) -> Self:
        client, conf = get_redis_connection(keys.REDIS_ALIAS), SignalsConf.load()
        return cls(
            client, heartbeat_ttl_ms=conf.heartbeat_ttl_ms, max_detailed=max_detailed, external=conf.external_groups
        )

    def read(self) -> StreamFigures:
        """The figures now; a stream that does not exist has no entries and no groups."""
        state = read_state(self._client, self._now, self._heartbeat_ttl_ms, self._external)
        if state is None:
            return no_stream(self._client)
        busy = [group for group in state.groups if group["pending"] or state.is_behind(group)]
        busy.sort(key=lambda group: order(delivered(group)))
        asked = self._read_details(busy[: self._max_detailed], state)
        groups = [_figures(group, state, asked.get(group["name"]), group in busy) for group in state.groups]
        return stream_figures(state, groups)

    def _read_details(self, groups: Sequence[Mapping[str, Any]], state: StreamState) -> dict[bytes, _GroupDetails]:
        with self._client.pipeline(transaction=False) as pipeline:
            for group in groups:
                if group["pending"]:
                    pipeline.xpending(keys.LIVE, group["name"])
                if state.is_behind(group):
                    pipeline.xrange(keys.LIVE, f"({delivered(group)}", count=1)
                if _has_unknown_consumers(group, state):
                    pipeline.xinfo_consumers(keys.LIVE, group["name"])
            replies = iter(pipeline.execute())
        return {
            group["name"]: _GroupDetails(
                next(replies) if group["pending"] else {},
                first_id(next(replies)) if state.is_behind(group) else b"",
                {escaped(row["name"]): idle_seconds(row) for row in next(replies)}
                if _has_unknown_consumers(group, state)
                else {},
            )
            for group in groups
        }


def _alive(name: str, state: StreamState) -> int:
    return sum(state.members.is_alive(name, consumer) for consumer in state.members.of(name))


def _has_unknown_consumers(group: Mapping[str, Any], state: StreamState) -> bool:
    """Whether it has consumers without a heartbeat, so that their idle times must be read."""
    return bool(group["consumers"] > _alive(escaped(group["name"]), state))


def _figures(group: Mapping[str, Any], state: StreamState, asked: _GroupDetails | None, is_busy: bool) -> GroupFigures:
    name, is_known = escaped(group["name"]), asked is not None or not is_busy
    certain = 0 if asked and not asked.undelivered else state.lag(group)
    asked = asked or _GroupDetails({}, b"", {})
    held = {escaped(one["name"]): one["pending"] for one in asked.pending.get("consumers", ())}
    consumers = _consumers(name, held, asked.idle_seconds, state) if is_known else ()
    return (GroupFigures if is_known else GroupOverview)(
        name=name,
        pending=group["pending"],
        lag=group.get("lag") if certain is None else certain,
        lag_exact=certain is not None,
        oldest_pending_seconds=state.age_seconds(asked.pending.get("min")),
        oldest_undelivered_seconds=state.age_seconds(asked.undelivered),
        drain_seconds=None,
        consumers=consumers,
        consumers_alive=_alive(name, state),
        expired_consumers=state.members.expired_consumers(name, held if is_known else None),
        kind=state.kind(name, consumers),
    )


def _consumers(
    group: str, held: Mapping[str, int], idle: Mapping[str, float], state: StreamState
) -> list[ConsumerFigures]:
    names = sorted({*state.members.of(group), *held, *idle})
    return [
        ConsumerFigures(name, held.get(name, 0), idle.get(name), state.members.is_alive(group, name)) for name in names
    ]
