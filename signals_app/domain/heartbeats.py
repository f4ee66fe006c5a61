"""Heartbeats of consumers: which are alive and which expired, from the hash of members."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from signals_app.domain.names import escaped

_DIED = "died"


@dataclass(frozen=True, slots=True)
class ExpiredConsumer:
    """A consumer whose heartbeat expired without a shutdown. ``held`` is the number of its pending entries, None if not
    counted; ``taken_over_by`` is the first consumer to get its entries or name, empty if none has."""

    consumer: str
    expired_seconds_ago: float
    held: int | None
    taken_over_by: str = ""
    taken_over_seconds_ago: float | None = None


class Heartbeats:
    """Parsed hash of members. ``kept`` is the raw hash, ``now_ms`` the time of the Redis server; a heartbeat is valid
    for ``heartbeat_ttl_ms``."""

    def __init__(self, kept: Mapping[bytes, bytes], *, heartbeat_ttl_ms: int, now_ms: int) -> None:
        named = {tuple(escaped(field).split(" ")): escaped(value).split(" ") for field, value in kept.items()}
        self._alive_until = {(name[0], name[1]): int(value[0]) for name, value in named.items() if len(name) == 2}
        self._notes = {(name[0], name[1]): value for name, value in named.items() if name[2:] == (_DIED,)}
        self._served = {name[0] for name in named if len(name) == 1}
        self._heartbeat_ttl_ms = heartbeat_ttl_ms
        self._now_ms = now_ms

    def is_alive(self, group: str, consumer: str) -> bool:
        return self._alive_until.get((group, consumer), 0) > self._now_ms

    def of(self, group: str) -> list[str]:
        """Consumers with a heartbeat, current or expired."""
        return sorted(consumer for of_group, consumer in self._alive_until if of_group == group)

    def is_served(self, group: str) -> bool:
        """Whether ``consume_signals`` serves the group, now, earlier or after a replay was started."""
        return group in self._served

    def has_record(self, group: str, consumer: str) -> bool:
        """Whether the consumer ever sent a heartbeat and has not shut down since."""
        return (group, consumer) in self._alive_until or (group, consumer) in self._notes

    def has_any(self, group: str) -> bool:
        """Whether any consumer of the group has a record."""
        return any(of_group == group for of_group, _ in (*self._alive_until, *self._notes))

    def expired_consumers(self, group: str, held: Mapping[str, int] | None) -> Sequence[ExpiredConsumer]:
        """Newest first; ``held`` is the number of pending entries by consumer, None if not known."""
        silent = [consumer for consumer in self.of(group) if not self.is_alive(group, consumer)]
        found = [
            self._unclaimed(group, consumer, held) for consumer in silent if not self._is_recorded(group, consumer)
        ]
        found += [
            self._recorded(consumer, note) for (of_group, consumer), note in self._notes.items() if of_group == group
        ]
        return sorted(found, key=lambda expired: expired.expired_seconds_ago)

    def _is_recorded(self, group: str, consumer: str) -> bool:
        note = self._notes.get((group, consumer))
        return note is not None and int(note[0]) == self._alive_until[group, consumer]

    def _unclaimed(self, group: str, consumer: str, held: Mapping[str, int] | None) -> ExpiredConsumer:
        seconds_ago = self._expired_seconds_ago(self._alive_until[group, consumer])
        return ExpiredConsumer(consumer, seconds_ago, None if held is None else held.get(consumer, 0))

    def _recorded(self, consumer: str, note: Sequence[str]) -> ExpiredConsumer:
        alive_until, held, taken_over_ms, by = note
        taken_over = (self._now_ms - int(taken_over_ms)) / 1000
        return ExpiredConsumer(consumer, self._expired_seconds_ago(int(alive_until)), int(held), by, taken_over)

    def _expired_seconds_ago(self, alive_until_ms: int) -> float:
        return (self._now_ms - alive_until_ms + self._heartbeat_ttl_ms) / 1000
