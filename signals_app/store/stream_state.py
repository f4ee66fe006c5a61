"""What one round of questions tells of the stream, its groups and who works in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from signals_app import keys
from signals_app.rules.entry_id import age_seconds, order
from signals_app.rules.members import Members


@dataclass(frozen=True, slots=True)
class StreamState:
    """``first`` and ``newest`` are entry ids, ``first`` empty in an empty stream; ``groups`` are as XINFO GROUPS tells
    them; ``added`` counts every entry there ever was, None where the server does not."""

    length: int
    first: str
    newest: str
    added: int | None
    groups: Sequence[Mapping[str, Any]]
    members: Members
    now_ms: int

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


def read_state(client: Any, now: Any, heartbeat_ttl_ms: int) -> StreamState | None:
    """None when there is no stream. ``now`` is the script of that name."""
    try:
        groups = client.xinfo_groups(keys.LIVE)
    except ResponseError as error:
        if "no such key" in str(error):
            return None
        raise
    with client.pipeline(transaction=False) as pipeline:
        pipeline.xinfo_stream(keys.LIVE).hgetall(keys.MEMBERS)
        info, members = pipeline.execute()
    now_ms = now(keys=[keys.LIVE])
    return StreamState(
        length=info["length"],
        first=info["first-entry"][0].decode() if info["first-entry"] else "",
        newest=info["last-generated-id"].decode(),
        added=info.get("entries-added"),
        groups=groups,
        members=Members(members, heartbeat_ttl_ms=heartbeat_ttl_ms, now_ms=now_ms),
        now_ms=now_ms,
    )


def delivered(group: Mapping[str, Any]) -> str:
    entry_id: str = group["last-delivered-id"].decode()
    return entry_id


def first_id(rows: Sequence[tuple[bytes, object]]) -> bytes:
    return rows[0][0] if rows else b""
