"""A consumer group of the stream: reading, acknowledging, claiming, burying, and who is alive in it."""

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
    """Another living process is the consumer of that name."""


def make_group(client: Any, group: str | bytes, start: str = "0") -> bool:
    """Makes the group, and the stream if need be; returns whether it was missing."""
    try:
        client.xgroup_create(keys.LIVE, group, id=start, mkstream=True)
    except ResponseError as error:
        if str(error).startswith("BUSYGROUP"):
            return False
        raise
    return True


def is_group_missing(error: Exception) -> bool:
    """Whether Redis says that the stream or the group is not there (deleted, flushed, or never made)."""
    return isinstance(error, ResponseError) and str(error).startswith(("NOGROUP", "UNBLOCKED", "no such key"))


class ConsumerGroup:
    """One group; what is done by or to one consumer names it first. Names are ``escaped`` where they are no text."""

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
        """The first of ``names`` without a living owner, now owned by ``token`` and a consumer of the group. Raises
        NameTakenError."""
        script = self._scripts["acquire_name"]
        arguments = [self._raw_name, token, self._heartbeat_ttl_ms, *map(unescaped, names)]
        taken = script(keys=[keys.LIVE, keys.MEMBERS], args=arguments)
        if taken is None:
            raise NameTakenError(f"a living process is consumer {names[0]} of group {self.name}")
        return escaped(taken)

    def beat(self, consumer: str, token: str, in_flight: Sequence[str]) -> set[str]:
        """Renews the heartbeat and the entries in hand, of which it returns those still held.

        Raises NameTakenError when another process took the name while this one was silent.
        """
        kept = self._run("beat", consumer, token, self._heartbeat_ttl_ms, *in_flight)
        if kept is None:
            raise NameTakenError(f"another process is consumer {consumer} of group {self.name} by now")
        return {entry_id.decode() for entry_id in kept}

    def read(self, consumer: str, *, count: int, block_ms: int, done: Sequence[str] = ()) -> list[Delivery]:
        """Acknowledges what is ``done`` and reads new deliveries, in one round trip; waits up to ``block_ms`` for the
        first one, not at all when it is 0."""
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
        """How many of them were still pending."""
        acknowledged: int = self._client.xack(keys.LIVE, self._raw_name, *entry_ids)
        return acknowledged

    def pending_ids(self, consumer: str, *, after: str, count: int, min_idle_ms: int = 0) -> list[str]:
        """Ids pending for the consumer and idle for so long, from the first one after the id ``after``."""
        name, idle = unescaped(consumer), min_idle_ms or None
        rows = self._client.xpending_range(
            keys.LIVE, self._raw_name, f"({after}", "+", count, consumername=name, idle=idle
        )
        return [row["message_id"].decode() for row in rows]

    def deliver_again(self, consumer: str, entry_ids: Sequence[str]) -> tuple[list[Delivery], list[str]]:
        """The deliveries of those it still holds, counted up; and the ids that are gone from the stream."""
        deliveries, gone = [], []
        for entry_id, count, *rest in self._run("deliver_again", consumer, *entry_ids):
            if rest:
                deliveries.append(Delivery(entry_id.decode(), rest[0], count))
            else:
                gone.append(entry_id.decode())
        return deliveries, gone

    def revert_delivery_count(self, consumer: str, deliveries: Sequence[Delivery]) -> int:
        """The last delivery of each it still holds did not count, however often this is said; returns how many."""
        counts = [part for one in deliveries for part in (one.entry_id, max(0, one.deliveries - 1))]
        return int(self._run("revert_delivery_count", consumer, *counts))

    def claim_expired(self, consumer: str, *, min_idle_ms: int, count: int) -> list[str]:
        """Ids taken over from consumers without a heartbeat; ``deliver_again`` delivers them."""
        return [entry_id.decode() for entry_id in self._run("claim_expired", consumer, min_idle_ms, count)]

    def first_of_symbols(self, consumer: str, entry_ids: Sequence[str], *, count: int) -> tuple[list[str], list[str]]:
        """Of entries that the consumer holds at most ``count``, oldest first, before which the group has none of their
        symbol pending; and those that it turned out not to hold."""
        first, gone = self._run("first_of_symbols", consumer, count, *entry_ids)
        return [entry_id.decode() for entry_id in first], [entry_id.decode() for entry_id in gone]

    def move_to_dead_letters(self, consumer: str, entry_id: str, *, reason: str, deliveries: int) -> bool:
        """Moves a held entry to the dead letters and acknowledges it; False when it was no longer held. The oldest dead
        letters beyond ``dead_cap`` are deleted."""
        letter = self._run(
            "move_to_dead_letters", consumer, entry_id, reason, deliveries, self._dead_cap, second_key=keys.DEAD
        )
        return letter is not None

    def release_name(self, consumer: str, token: str, not_started: Sequence[str]) -> int:
        """Leaves: all that is held becomes claimable at once. What was not begun does not count as delivered."""
        return int(self._run("release_name", consumer, token, *not_started) or 0)

    def free(self, consumer: str) -> int:
        """Makes claimable at once what a dead consumer holds. Raises NameTakenError when it is alive."""
        freed = self._run("release_name", consumer, "")
        if freed is None:
            raise NameTakenError(f"consumer {consumer} of group {self.name} is alive")
        return int(freed)

    def holder_of(self, entry_id: str) -> tuple[str, int] | None:
        """The consumer that holds the entry, and how often it was delivered; None when it is not pending."""
        rows = self._client.xpending_range(keys.LIVE, self._raw_name, entry_id, entry_id, 1)
        return (escaped(rows[0]["consumer"]), rows[0]["times_delivered"]) if rows else None

    def forget(self) -> bool:
        """Drops the group with its pending entries; returns whether it was there. Raises NameTakenError when one of
        its consumers is alive."""
        script_keys = [keys.LIVE, keys.MEMBERS, keys.REPLAY_ENDS, keys.PACES]
        forgotten = self._forget(keys=script_keys, args=[self._raw_name])
        if forgotten < 0:
            raise NameTakenError(f"a consumer of group {self.name} is alive; stop it first")
        return bool(forgotten)

    def make(self) -> bool:
        """Makes the group at 0, so that it gets what was published before it; returns whether it was missing."""
        return make_group(self._client, self._raw_name)

    def pending(self) -> int:
        """Entries delivered to any consumer and not yet acknowledged."""
        pending: int = self._client.xpending(keys.LIVE, self._raw_name)["pending"]
        return pending

    def remove_idle_consumers(self, min_idle_ms: int) -> list[str]:
        """Removes dead consumers that hold nothing; returns their names."""
        script = self._scripts["remove_idle_consumers"]
        removed = script(keys=[keys.LIVE, keys.MEMBERS], args=[self._raw_name, min_idle_ms])
        return [escaped(name) for name in removed]

    def record_pace(self) -> bool:
        """Notes how much the group has handled, every half a minute; says whether it did."""
        script = self._scripts["record_pace"]
        return bool(script(keys=[keys.LIVE, keys.PACES], args=[self._raw_name, _PACE_INTERVAL_MS]))

    def _run(self, verb: str, consumer: str, *arguments: object, second_key: str = keys.MEMBERS) -> Any:
        return self._scripts[verb](keys=[keys.LIVE, second_key], args=[self._raw_name, unescaped(consumer), *arguments])


def _deliveries(rows: Sequence[Sequence[Any]]) -> list[Delivery]:
    """Made in bulk: a consumer gets a hundred thousand of them a second."""
    entry_ids = b" ".join([row[0] for row in rows]).decode().split(" ")
    return list(map(_new_delivery, zip(entry_ids, [row[1] for row in rows], repeat(1))))
