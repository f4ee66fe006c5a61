"""What one round of questions tells of the stream, its groups and who works in them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.cluster import RedisCluster
from redis.exceptions import ResponseError

from signals_app import keys
from signals_app.rules.entry_id import LAST, age_seconds, order
from signals_app.rules.lag import ConsumerFigures, GroupFigures, GroupKind, StreamFigures, group_kind
from signals_app.rules.members import Members


@dataclass(frozen=True, slots=True)
class StreamState:
    """``first`` and ``newest`` are entry ids, ``first`` empty in an empty stream; ``groups`` are as XINFO GROUPS tells
    them; ``added`` counts every entry there ever was, None where the server does not. ``external`` are the groups
    declared to be read by programs that send no heartbeat."""

    length: int
    first: str
    newest: str
    added: int | None
    groups: Sequence[Mapping[str, Any]]
    members: Members
    now_ms: int
    dead_letters: int
    external: Collection[str]

    @property
    def is_exhausted(self) -> bool:
        return self.newest == LAST

    def kind(self, group: str, consumers: Sequence[ConsumerFigures]) -> GroupKind:
        return group_kind(group, consumers, members=self.members, external=self.external)

    def is_behind(self, group: Mapping[str, Any]) -> bool:
        """Whether entries may wait that the group was not given."""
        return bool(self.first) and order(delivered(group)) < order(self.newest)

    def lag(self, group: Mapping[str, Any]) -> int | None:
        """What is certain without counting; None when it is not."""
        if not self.is_behind(group):
            return 0
        return self.length if order(delivered(group)) < order(self.first) else None

    def age_seconds(self, entry_id: bytes | str | None) -> float | None:
        if not entry_id:
            return None
        return age_seconds(entry_id.decode() if isinstance(entry_id, bytes) else entry_id, self.now_ms)


def read_state(client: Any, now: Any, heartbeat_ttl_ms: int, external: Collection[str] = ()) -> StreamState | None:
    """None when there is no stream. ``now`` is the script of that name."""
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
        members=Members(members, heartbeat_ttl_ms=heartbeat_ttl_ms, now_ms=now_ms),
        now_ms=now_ms,
        dead_letters=dead_letters,
        external=external,
    )


def _server_ms(client: Any, now: Any) -> int:
    """In a cluster the time is asked of whoever has the stream; elsewhere TIME alone is one command less."""
    if isinstance(client, RedisCluster):
        return int(now(keys=[keys.LIVE]))
    seconds, microseconds = client.time()
    return int(seconds * 1000 + microseconds // 1000)


def idle_seconds(row: Mapping[str, Any]) -> float:
    """Of a row of XINFO CONSUMERS: since Redis last heard of the consumer. From 7.2 on ``idle`` counts attempts and
    ``inactive`` what was got, -1 for nothing yet; 7.0 has ``idle`` alone."""
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
    """A stream that does not exist has no entries and no groups; its dead letters stay. Nothing was added yet."""
    return StreamFigures(keys.LIVE, 0, (), added=0, dead_letters=client.xlen(keys.DEAD))
