"""The stream of events: publishing, reading without a group, trimming."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from django_redis import get_redis_connection
from redis.exceptions import RedisError, ResponseError

from avo_project.redis_client.persistent_connection import Argument, execute, execute_on_one_server, run_script
from avo_project.redis_client.scripts import read_lua
from signals_app import keys
from signals_app.conf import SignalsConf
from signals_app.domain.entry import Entry, is_highest, is_lowest, order
from signals_app.domain.event import Event
from signals_app.domain.names import escaped
from signals_app.store.group import make_group

_TRIM_STEP = 10_000
_RECEIPT_TTL_MS = 600_000
_WAIT_MS = 1_000


class StreamFullError(Exception):
    """The stream is at its hard cap because a group is too far behind; nothing was added. ``room`` is the number of
    events that still fit."""

    def __init__(self, length: int, hard_cap: int) -> None:
        super().__init__(
            f"{keys.LIVE} holds {length} entries and may hold {hard_cap}: some group is too far behind for a trim. "
            "See signal_lag; start its consumers or forget the group (signal_groups), then publish again."
        )
        self.room = max(0, hard_cap - length)


class StreamExhaustedError(StreamFullError):
    """The stream contains the last possible entry id, so nothing can be added."""

    def __init__(self) -> None:
        Exception.__init__(
            self,
            f"{keys.LIVE} holds the last possible entry id, so nothing can be added. "
            'See "Publishers refused" in docs/operations.md.',
        )
        self.room = 0


class NotReplicatedError(RedisError):
    """The batch is on the primary, but too few replicas confirmed it in time: a fail-over may lose it."""

    def __init__(self, replicas: int, wanted: int) -> None:
        super().__init__(
            f"The batch is on the primary, but {replicas} of {wanted} replicas (SIGNALS_WAIT_REPLICAS) confirmed it "
            f"within {_WAIT_MS / 1000:g} s. Publishing it again adds nothing twice."
        )


class CheckpointMovedError(Exception):
    """Another process has moved the checkpoint; ``checkpoint`` is the current one."""

    def __init__(self, checkpoint: str) -> None:
        super().__init__(f"the checkpoint has changed to {checkpoint!r}")
        self.checkpoint = checkpoint


@dataclass(frozen=True, slots=True)
class Published:
    """``length`` is the length of the stream after the batch; ``entry_ids`` are in the order of the events."""

    entry_ids: list[str]
    length: int


class SignalStream:
    """The stream itself; ConsumerGroup has the operations of one group. ``wait_replicas`` is the number of replicas
    that must have a batch before it counts as published."""

    def __init__(self, client: Any, *, soft_cap: int, hard_cap: int, wait_replicas: int = 0) -> None:
        self._client = client
        self._wait_replicas = wait_replicas
        self._hard_cap = hard_cap
        self._soft_cap = soft_cap
        self._publish = client.register_script(read_lua("signals_app", "publish"))
        self._trim = client.register_script(read_lua("signals_app", "trim"))

    @classmethod
    def connect(cls) -> Self:
        conf = SignalsConf.load()
        client = get_redis_connection(keys.REDIS_ALIAS)
        return cls(client, soft_cap=conf.soft_cap, hard_cap=conf.hard_cap, wait_replicas=conf.wait_replicas)

    def make_default_group(self) -> None:
        """Create the default group, so that no entry is trimmed before that group has handled it."""
        make_group(self._client, keys.DEFAULT_GROUP)

    def publish(self, events: Sequence[Event], *, publisher: str, batch: int) -> Published:
        """Add a batch. Repeating a ``batch`` number of a ``publisher`` adds nothing and returns the ids of the first
        time.

        Batches are numbered in ascending order. Raises StreamFullError, or CheckpointMovedError if a later batch was
        added already; nothing is added then. Raises NotReplicatedError for a batch that may be repeated.
        """
        return self._add(events, keys.receipt(publisher), "*", str(batch), _RECEIPT_TTL_MS)

    def publish_with_checkpoint(self, events: Sequence[Event], *, key: str, before: str, checkpoint: str) -> Published:
        """Add a batch and move the checkpoint at ``key`` from ``before`` to ``checkpoint``, atomically.

        A checkpoint has no spaces. Raises CheckpointMovedError or StreamFullError; nothing is added then.
        """
        return self._add(events, key, before, checkpoint, 0)

    def _add(self, events: Sequence[Event], key: str, before: str, checkpoint: str, ttl_ms: int) -> Published:
        arguments: list[Argument] = [self._hard_cap, before, checkpoint, ttl_ms, len(events)]
        for event in events:
            fields = event.as_fields()
            arguments.append(len(fields))
            arguments += fields
        try:
            outcome, length, *rest = self._run_publish((keys.LIVE, key), arguments)
        except ResponseError as error:
            if is_exhausted(error):
                raise StreamExhaustedError from error
            raise
        if outcome == b"full":
            raise StreamFullError(length, self._hard_cap)
        if outcome == b"moved":
            raise CheckpointMovedError(rest[0].decode())
        return Published(rest[0].decode().split(), length)

    def _run_publish(self, names: Sequence[str], arguments: Sequence[Argument]) -> Any:
        if not self._wait_replicas:
            return run_script(self._client, self._publish, names, arguments)
        commands: list[tuple[Argument, ...]] = [
            ("EVAL", self._publish.script, len(names), *names, *arguments),
            ("SET", keys.REPLICATED, 1, "PX", 60_000),
            ("WAIT", self._wait_replicas, _WAIT_MS),
        ]
        reply, _, replicas = execute_on_one_server(self._client, keys.LIVE, *commands, wait_seconds=_WAIT_MS / 1000)
        if replicas < self._wait_replicas:
            raise NotReplicatedError(replicas, self._wait_replicas)
        return reply

    def checkpoint(self, key: str) -> str:
        """The checkpoint of the last batch published under ``key``, empty if there is none."""
        held: bytes = self._client.get(key) or b""
        return held.partition(b" ")[0].decode()

    def trim(self) -> int:
        """Trim to about the soft cap. Returns the number of entries removed.

        Entries that some group has not read or acknowledged are kept, whatever the length. Removes whole nodes of the
        stream (about 100 entries), in steps short enough for other clients.
        """
        in_all = 0
        while True:
            trimmed, _ = self._trim(keys=[keys.LIVE], args=[self._soft_cap, keys.DEFAULT_GROUP, _TRIM_STEP])
            in_all += trimmed
            if trimmed < _TRIM_STEP // 2:
                return int(in_all)

    def length(self) -> int:
        length: int = self._client.xlen(keys.LIVE)
        return length

    def newest_first(self, *, before: str | None, count: int) -> list[Entry]:
        """At most ``count`` entries below the id ``before``, or from the last one."""
        if before and is_lowest(before):
            return []
        return _entries(self._client.xrevrange(keys.LIVE, f"({before}" if before else "+", "-", count))

    def between(self, first: str, last: str, count: int) -> list[Entry]:
        """At most ``count`` entries from ``first`` to ``last``, inclusive; ``(id`` is exclusive."""
        if first.startswith("(") and is_highest(first[1:]):
            return []
        return _entries(self._client.xrange(keys.LIVE, first, last, count))

    def is_trimmed_after(self, entry_id: str) -> bool:
        """Whether entries after the id may have been trimmed; never for ``0-0`` while the stream is complete."""
        info = self._info()
        if not info:
            return False
        first, is_whole = info["first-entry"], info.get("entries-added") == info["length"]
        if is_lowest(entry_id) and is_whole:
            return False
        return bool(first) and order(entry_id) < order(first[0].decode())

    def last_id(self) -> str:
        """The last generated id, even if its entry was removed; ``0-0`` when there is no stream."""
        info = self._info()
        return info["last-generated-id"].decode() if info else "0-0"

    def _info(self) -> dict[str, Any]:
        """XINFO STREAM; empty when there is no stream."""
        try:
            return dict(self._client.xinfo_stream(keys.LIVE))
        except ResponseError as error:
            if "no such key" in str(error):
                return {}
            raise

    def groups(self) -> list[tuple[str, str]]:
        """Name and last delivered id of each group; empty when there is no stream."""
        try:
            rows = self._client.xinfo_groups(keys.LIVE)
        except ResponseError as error:
            if "no such key" in str(error):
                return []
            raise
        return [(escaped(row["name"]), row["last-delivered-id"].decode()) for row in rows]

    def read_after(self, entry_id: str, *, count: int, block_ms: int) -> list[Entry]:
        """Entries after the id, without a group; blocks up to ``block_ms`` for the first one."""
        command = ("XREAD", "COUNT", count, "BLOCK", block_ms, "STREAMS", keys.LIVE, entry_id)
        [streams] = execute(self._client, keys.LIVE, command, wait_seconds=block_ms / 1000)
        return [
            Entry(row_id.decode(), dict(zip(flat[0::2], flat[1::2], strict=True)))
            for row_id, flat in (streams[0][1] if streams else ())
        ]


def is_exhausted(error: ResponseError) -> bool:
    """Whether XADD failed because no entry id is left."""
    return "exhausted the last possible ID" in str(error)


def _entries(rows: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> list[Entry]:
    return [Entry(entry_id.decode(), fields) for entry_id, fields in rows]
