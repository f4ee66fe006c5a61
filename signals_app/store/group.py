"""A consumer group of the stream: reading, acknowledging, claiming, dead-lettering, and consumer names; and replay
groups, which get one range of the stream again."""

from collections.abc import Sequence
from functools import partial
from itertools import repeat
from typing import Any, Self

from django_redis import get_redis_connection
from redis.exceptions import ResponseError

from avo_project.redis_client.persistent_connection import Argument, execute
from avo_project.redis_client.scripts import read_lua
from signals_app import keys
from signals_app.conf import SignalsConf
from signals_app.domain.delivery import Delivery
from signals_app.domain.entry import END, just_before
from signals_app.domain.names import escaped, unescaped

_new_delivery = partial(tuple.__new__, Delivery)
_VERBS = (
    "acquire_name",
    "beat",
    "claim_expired",
    "deliver_again",
    "revert_delivery_count",
    "move_to_dead_letters",
    "release_name",
    "remove_idle_consumers",
    "record_pace",
    "first_of_symbols",
)
_PACE_INTERVAL_MS = 30_000


class NameTakenError(Exception):
    """Another live process uses the name of the consumer."""


def make_group(client: Any, group: str | bytes, start: str = "0") -> bool:
    """Create the group, and the stream if necessary. Returns whether the group was missing."""
    try:
        client.xgroup_create(keys.LIVE, group, id=start, mkstream=True)
    except ResponseError as error:
        if str(error).startswith("BUSYGROUP"):
            return False
        raise
    return True


def is_group_missing(error: Exception) -> bool:
    """Whether the stream or the group does not exist (deleted, flushed, or never created)."""
    return isinstance(error, ResponseError) and str(error).startswith(("NOGROUP", "UNBLOCKED", "no such key"))


class ConsumerGroup:
    """One consumer group. Names that are not UTF-8 are ``escaped``."""

    def __init__(self, client: Any, name: str, *, heartbeat_ttl_ms: int, dead_cap: int = 100_000) -> None:
        self.name = name
        self._raw_name = unescaped(name)
        self._client = client
        self._heartbeat_ttl_ms = heartbeat_ttl_ms
        self._dead_cap = dead_cap
        self._forget = client.register_script(read_lua("signals_app", "forget_group"))
        self._scripts = {verb: client.register_script(read_lua("signals_app", verb)) for verb in _VERBS}

    @classmethod
    def connect(cls, name: str) -> Self:
        client, conf = get_redis_connection(keys.REDIS_ALIAS), SignalsConf.load()
        return cls(client, name, heartbeat_ttl_ms=conf.heartbeat_ttl_ms, dead_cap=conf.dead_cap)

    def acquire_name(self, names: Sequence[str], token: str) -> str:
        """Acquire the first of ``names`` without a live owner, for ``token``, and create the consumer. Raises
        NameTakenError."""
        script = self._scripts["acquire_name"]
        arguments = [self._raw_name, token, self._heartbeat_ttl_ms, *map(unescaped, names)]
        taken = script(keys=[keys.LIVE, keys.MEMBERS], args=arguments)
        if taken is None:
            raise NameTakenError(f"a live process is consumer {names[0]} of group {self.name}")
        return escaped(taken)

    def beat(self, consumer: str, token: str, in_flight: Sequence[str]) -> set[str]:
        """Renew the heartbeat and the in-flight entries. Returns those that the consumer still holds.

        Raises NameTakenError when another process has acquired the name.
        """
        kept = self._run("beat", consumer, token, self._heartbeat_ttl_ms, *in_flight)
        if kept is None:
            raise NameTakenError(f"another process has become consumer {consumer} of group {self.name}")
        return {entry_id.decode() for entry_id in kept}

    def read(self, consumer: str, *, count: int, block_ms: int, done: Sequence[str] = ()) -> list[Delivery]:
        """Acknowledge ``done`` and read new deliveries in one round trip; blocks up to ``block_ms``, not at all if
        0."""
        block: tuple[Argument, ...] = ("BLOCK", block_ms) if block_ms else ()
        read = (
            "XREADGROUP",
            "GROUP",
            self._raw_name,
            unescaped(consumer),
            "COUNT",
            count,
            *block,
            "STREAMS",
            keys.LIVE,
            ">",
        )
        commands = [("XACK", keys.LIVE, self._raw_name, *done), read] if done else [read]
        streams = execute(self._client, keys.LIVE, *commands, wait_seconds=block_ms / 1000)[-1]
        return _deliveries(streams[0][1]) if streams else []

    def acknowledge(self, entry_ids: Sequence[str]) -> int:
        """Acknowledge entries. Returns how many were still pending."""
        acknowledged: int = self._client.xack(keys.LIVE, self._raw_name, *entry_ids)
        return acknowledged

    def pending_ids(self, consumer: str, *, after: str, count: int, min_idle_ms: int = 0) -> list[str]:
        """Ids of entries pending for the consumer and idle for ``min_idle_ms``, after the id ``after``."""
        name, idle = unescaped(consumer), min_idle_ms or None
        rows = self._client.xpending_range(
            keys.LIVE, self._raw_name, f"({after}", "+", count, consumername=name, idle=idle
        )
        return [row["message_id"].decode() for row in rows]

    def deliver_again(self, consumer: str, entry_ids: Sequence[str]) -> tuple[list[Delivery], list[str]]:
        """Redeliver entries that the consumer still holds. Also returns the ids deleted from the stream."""
        deliveries, gone = [], []
        for entry_id, count, *rest in self._run("deliver_again", consumer, *entry_ids):
            if rest:
                deliveries.append(Delivery(entry_id.decode(), rest[0], count))
            else:
                gone.append(entry_id.decode())
        return deliveries, gone

    def revert_delivery_count(self, consumer: str, deliveries: Sequence[Delivery]) -> int:
        """Undo the last delivery in the delivery counts (idempotent). Returns the number of entries changed."""
        counts = [part for one in deliveries for part in (one.entry_id, max(0, one.deliveries - 1))]
        return int(self._run("revert_delivery_count", consumer, *counts))

    def claim_expired(self, consumer: str, *, min_idle_ms: int, count: int) -> list[str]:
        """Claim entries of consumers without a heartbeat. Returns their ids, for ``deliver_again``."""
        return [entry_id.decode() for entry_id in self._run("claim_expired", consumer, min_idle_ms, count)]

    def first_of_symbols(self, consumer: str, entry_ids: Sequence[str], *, count: int) -> tuple[list[str], list[str]]:
        """Up to ``count`` of the given entries, oldest first, that have no earlier pending entry of their symbol in the
        group; and the ids that the consumer does not hold."""
        first, gone = self._run("first_of_symbols", consumer, count, *entry_ids)
        return [entry_id.decode() for entry_id in first], [entry_id.decode() for entry_id in gone]

    def move_to_dead_letters(self, consumer: str, entry_id: str, *, reason: str, deliveries: int) -> bool:
        """Move an entry to the dead letters and acknowledge it; False when the consumer no longer holds it. The oldest
        dead letters beyond ``dead_cap`` are deleted."""
        letter = self._run(
            "move_to_dead_letters", consumer, entry_id, reason, deliveries, self._dead_cap, second_key=keys.DEAD
        )
        return letter is not None

    def release_name(self, consumer: str, token: str, not_started: Sequence[str]) -> int:
        """Release the name and make all entries claimable at once. Entries ``not_started`` do not count as
        delivered."""
        return int(self._run("release_name", consumer, token, *not_started) or 0)

    def free(self, consumer: str) -> int:
        """Make the entries of an expired consumer claimable at once. Raises NameTakenError when it is alive."""
        freed = self._run("release_name", consumer, "")
        if freed is None:
            raise NameTakenError(f"consumer {consumer} of group {self.name} is alive")
        return int(freed)

    def holder_of(self, entry_id: str) -> tuple[str, int] | None:
        """The consumer that holds the entry, and its delivery count; None when it is not pending."""
        rows = self._client.xpending_range(keys.LIVE, self._raw_name, entry_id, entry_id, 1)
        return (escaped(rows[0]["consumer"]), rows[0]["times_delivered"]) if rows else None

    def forget(self) -> bool:
        """Destroy the group with its pending entries. Returns whether it existed. Raises NameTakenError when one of its
        consumers is alive."""
        script_keys = [keys.LIVE, keys.MEMBERS, keys.REPLAY_ENDS, keys.PACES]
        forgotten = self._forget(keys=script_keys, args=[self._raw_name])
        if forgotten < 0:
            raise NameTakenError(f"a consumer of group {self.name} is alive; stop it first")
        return bool(forgotten)

    def make(self) -> bool:
        """Create the group at 0, so that it gets earlier entries as well. Returns whether it was missing."""
        return make_group(self._client, self._raw_name)

    def pending(self) -> int:
        """The number of pending entries of all consumers."""
        pending: int = self._client.xpending(keys.LIVE, self._raw_name)["pending"]
        return pending

    def remove_idle_consumers(self, min_idle_ms: int) -> list[str]:
        """Remove expired consumers without pending entries. Returns their names."""
        script = self._scripts["remove_idle_consumers"]
        removed = script(keys=[keys.LIVE, keys.MEMBERS], args=[self._raw_name, min_idle_ms])
        return [escaped(name) for name in removed]

    def record_pace(self) -> bool:
        """Record the number of handled entries, every 30 s. Returns whether it was due."""
        script = self._scripts["record_pace"]
        return bool(script(keys=[keys.LIVE, keys.PACES], args=[self._raw_name, _PACE_INTERVAL_MS]))

    def _run(self, verb: str, consumer: str, *arguments: object, second_key: str = keys.MEMBERS) -> Any:
        return self._scripts[verb](keys=[keys.LIVE, second_key], args=[self._raw_name, unescaped(consumer), *arguments])


def _deliveries(rows: Sequence[Sequence[Any]]) -> list[Delivery]:
    """Built in bulk: a consumer gets a hundred thousand a second."""
    entry_ids = b" ".join([row[0] for row in rows]).decode().split(" ")
    return list(map(_new_delivery, zip(entry_ids, [row[1] for row in rows], repeat(1))))


class ReplayRejectedError(Exception):
    """The group cannot start a replay; nothing was changed."""


class ReplayGroups:
    """The end of each range is stored in a hash. A finished group is set to ``entry.END``, where it gets no new entries
    and holds back no trim."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._start = client.register_script(read_lua("signals_app", "start_replay"))
        self._finish = client.register_script(read_lua("signals_app", "finish_replay"))

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS))

    def start(self, group: str, first: str, last: str) -> None:
        """Start a replay of the entries from ``first`` to ``last``. Raises ReplayRejectedError."""
        arguments = [unescaped(group), just_before(first), last, END]
        outcome = self._start(keys=[keys.LIVE, keys.REPLAY_ENDS, keys.MEMBERS], args=arguments)
        if outcome == b"other":
            raise ReplayRejectedError(f"{group} is a group of live consumers; a replay needs a group of its own")
        if outcome == b"busy":
            raise ReplayRejectedError(f"{group} has not finished its last range; wait for it or choose another group")

    def end_of(self, group: str) -> str | None:
        """The last id of the range; None for a group that is not a replay group."""
        end: bytes | None = self._client.hget(keys.REPLAY_ENDS, unescaped(group))
        return end.decode() if end is not None else None

    def finish(self, group: str, end: str, beyond: Sequence[str]) -> bool:
        """Finish the replay and acknowledge entries ``beyond`` its range. False when the group has a new range."""
        acknowledged = self._finish(keys=[keys.LIVE, keys.REPLAY_ENDS], args=[unescaped(group), end, END, *beyond])
        return int(acknowledged) >= 0
