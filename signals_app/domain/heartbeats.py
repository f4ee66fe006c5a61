"""Who of a group's consumers lives, and who died, by the heartbeats and the notes of deaths that they leave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from signals_app.domain.names import escaped

_DIED = "died"


@dataclass(frozen=True, slots=True)
class ExpiredConsumer:
    """A consumer that went silent without leaving. ``held`` entries were in its hands, None when they were not counted;
    ``taken_over_by`` is the consumer that got its entries or its name first, empty while nobody has."""

    consumer: str
    expired_seconds_ago: float
    held: int | None
    taken_over_by: str = ""
    taken_over_seconds_ago: float | None = None


class Heartbeats:
    """``kept`` is the hash of members as it lies in Redis, ``now_ms`` is its server's time; a heartbeat says until when
    its consumer counts as alive, ``heartbeat_ttl_ms`` after its last word."""

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
        """All that have a heartbeat, be it over or not."""
        return sorted(consumer for of_group, consumer in self._alive_until if of_group == group)

    def is_served(self, group: str) -> bool:
        """Whether ``consume_signals`` works for the group, or has, or is to after a replay was started."""
        return group in self._served

    def has_record(self, group: str, consumer: str) -> bool:
        """Whether it ever sent a heartbeat and did not leave since."""
        return (group, consumer) in self._alive_until or (group, consumer) in self._notes

    def has_any(self, group: str) -> bool:
        """Whether any consumer of the group did."""
        return any(of_group == group for of_group, _ in (*self._alive_until, *self._notes))

    def expired_consumers(self, group: str, held: Mapping[str, int] | None) -> Sequence[ExpiredConsumer]:
        """Newest first; ``held`` is what each consumer has in hand now, None when that is not known."""
        silent = [consumer for consumer in self.of(group) if not self.is_alive(group, consumer)]
        found = [self._silent(group, consumer, held) for consumer in silent if not self._is_recorded(group, consumer)]
        found += [
            self._recorded(consumer, note) for (of_group, consumer), note in self._notes.items() if of_group == group
        ]
        return sorted(found, key=lambda expired: expired.expired_seconds_ago)

    def _is_recorded(self, group: str, consumer: str) -> bool:
        note = self._notes.get((group, consumer))
        return note is not None and int(note[0]) == self._alive_until[group, consumer]

    def _silent(self, group: str, consumer: str, held: Mapping[str, int] | None) -> ExpiredConsumer:
        died = self._expired_seconds_ago(self._alive_until[group, consumer])
        return ExpiredConsumer(consumer, died, None if held is None else held.get(consumer, 0))

    def _recorded(self, consumer: str, note: Sequence[str]) -> ExpiredConsumer:
        alive_until, held, taken_over_ms, by = note
        taken_over = (self._now_ms - int(taken_over_ms)) / 1000
        return ExpiredConsumer(consumer, self._expired_seconds_ago(int(alive_until)), int(held), by, taken_over)

    def _expired_seconds_ago(self, alive_until_ms: int) -> float:
        return (self._now_ms - alive_until_ms + self._heartbeat_ttl_ms) / 1000
