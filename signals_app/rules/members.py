"""Who of a group's consumers lives, and who died, by the heartbeats and the notes of deaths that they leave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Death:
    """A consumer that went silent without leaving. ``held`` entries were in its hands, None when they were not counted;
    ``taken_over_by`` is the consumer that got its entries or its name first, empty while nobody has."""

    consumer: str
    died_seconds_ago: float
    held: int | None
    taken_over_by: str = ""
    taken_over_seconds_ago: float | None = None


class Members:
    """``heartbeats`` and ``deaths`` are the two hashes as they lie in Redis, ``now_ms`` is their server's time; a
    heartbeat says until when its consumer counts as alive, ``heartbeat_ttl_ms`` after its last word."""

    def __init__(
        self, heartbeats: Mapping[bytes, bytes], deaths: Mapping[bytes, bytes], *, heartbeat_ttl_ms: int, now_ms: int
    ) -> None:
        self._alive_until = {_names(member): int(value.split(b" ")[0]) for member, value in heartbeats.items()}
        self._notes = {_names(member): value.decode().split(" ") for member, value in deaths.items()}
        self._heartbeat_ttl_ms = heartbeat_ttl_ms
        self._now_ms = now_ms

    def is_alive(self, group: str, consumer: str) -> bool:
        return self._alive_until.get((group, consumer), 0) > self._now_ms

    def of(self, group: str) -> list[str]:
        """All that have a heartbeat, be it over or not."""
        return sorted(consumer for of_group, consumer in self._alive_until if of_group == group)

    def deaths(self, group: str, held: Mapping[str, int] | None) -> Sequence[Death]:
        """Newest first; ``held`` is what each consumer has in hand now, None when that is not known."""
        silent = [consumer for consumer in self.of(group) if not self.is_alive(group, consumer)]
        found = [self._silent(group, consumer, held) for consumer in silent if not self._is_noted(group, consumer)]
        found += [
            self._noted(consumer, note) for (of_group, consumer), note in self._notes.items() if of_group == group
        ]
        return sorted(found, key=lambda death: death.died_seconds_ago)

    def _is_noted(self, group: str, consumer: str) -> bool:
        note = self._notes.get((group, consumer))
        return note is not None and int(note[0]) == self._alive_until[group, consumer]

    def _silent(self, group: str, consumer: str, held: Mapping[str, int] | None) -> Death:
        died = self._died_seconds_ago(self._alive_until[group, consumer])
        return Death(consumer, died, None if held is None else held.get(consumer, 0))

    def _noted(self, consumer: str, note: Sequence[str]) -> Death:
        alive_until, held, taken_over_ms, by = note
        taken_over = (self._now_ms - int(taken_over_ms)) / 1000
        return Death(consumer, self._died_seconds_ago(int(alive_until)), int(held), by, taken_over)

    def _died_seconds_ago(self, alive_until_ms: int) -> float:
        return (self._now_ms - alive_until_ms + self._heartbeat_ttl_ms) / 1000


def _names(member: bytes) -> tuple[str, str]:
    group, _, consumer = member.decode(errors="replace").partition(" ")
    return group, consumer
