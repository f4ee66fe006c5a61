"""The stream of dead letters: events given up, each with its reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from django_redis import get_redis_connection

from signals_app import keys


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """``fields`` are the event's own, as raw as they came; ``dead_at_ms`` is in Unix milliseconds."""

    letter_id: str
    reason: str
    source_id: str
    deliveries: int
    dead_at_ms: int
    fields: Mapping[bytes, bytes]

    def shown(self, name: str) -> str:
        """One field of the event, readable whatever is in it, and short."""
        return self.fields.get(name.encode(), b"").decode(errors="backslashreplace")[:80]


class DeadLetters:
    """Nothing ever trims it: a letter goes when an operator redrives or removes it."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS))

    def length(self) -> int:
        return int(self._client.xlen(keys.DEAD))

    def newest_first(self, count: int) -> list[DeadLetter]:
        return [_letter(*row) for row in self._client.xrevrange(keys.DEAD, count=count)]


def _letter(letter_id: bytes, fields: dict[bytes, bytes]) -> DeadLetter:
    own = dict(fields)
    return DeadLetter(
        letter_id=letter_id.decode(),
        reason=own.pop(b"dead_reason", b"").decode(errors="replace"),
        source_id=own.pop(b"dead_source_id", b"").decode(errors="replace"),
        deliveries=_number(own.pop(b"dead_deliveries", b"")),
        dead_at_ms=_number(own.pop(b"dead_at", b"")),
        fields=own,
    )


def _number(value: bytes) -> int:
    return int(value) if value.isdigit() else 0
