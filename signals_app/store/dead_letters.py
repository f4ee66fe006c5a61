"""The stream of dead letters: events that could not be handled, each with its reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from django_redis import get_redis_connection
from redis.exceptions import ResponseError

from avo_project.redis_client.persistent_connection import execute
from avo_project.redis_client.scripts import read_lua
from signals_app import keys
from signals_app.conf import SignalsConf
from signals_app.domain.entry import is_highest
from signals_app.domain.names import escaped
from signals_app.store.stream import StreamExhaustedError, StreamFullError, is_exhausted

_OWN = frozenset({b"dead_reason", b"dead_source_id", b"dead_deliveries", b"dead_at"})


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """``fields`` are the raw fields of the event; ``dead_at_ms`` is in Unix milliseconds."""

    letter_id: str
    reason: str
    source_id: str
    deliveries: int
    dead_at_ms: int
    fields: Mapping[bytes, bytes]

    def as_json(self) -> dict[str, object]:
        """For display: bytes that are not UTF-8 are escaped, long values are truncated."""
        fields = {_shown(name): _shown(value) for name, value in self.fields.items()}
        return {
            "id": self.letter_id,
            "dead_reason": self.reason,
            "dead_source_id": self.source_id,
            "dead_deliveries": self.deliveries,
            "dead_at": self.dead_at_ms,
            "fields": fields,
        }

    def shown(self, name: str) -> str:
        """One field of the event, escaped and truncated."""
        return _shown(self.fields.get(name.encode(), b""))


class DeadLetters:
    """Letters are removed by an operator (redrive, remove) or as the oldest beyond ``SIGNALS_DEAD_CAP``."""

    def __init__(self, client: Any, *, hard_cap: int) -> None:
        self._client = client
        self._hard_cap = hard_cap
        self._redrive = client.register_script(read_lua("signals_app", "redrive"))

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS), hard_cap=SignalsConf.load().hard_cap)

    def length(self) -> int:
        return int(self._client.xlen(keys.DEAD))

    def newest_first(self, count: int) -> list[DeadLetter]:
        return self._read("XREVRANGE", "+", "-", count)

    def after(self, letter_id: str, count: int) -> list[DeadLetter]:
        """At most ``count``, oldest first, from the one after ``letter_id``; ``0-0`` starts."""
        return [] if is_highest(letter_id) else self._read("XRANGE", f"({letter_id}", "+", count)

    def redrive(self, letter_id: str) -> str | None:
        """Publish the event again and remove its letter, atomically. Returns the id of the new entry; None when the
        letter does not exist any more, or has too many fields to be an event (``dead_rest``). Raises
        StreamFullError."""
        try:
            outcome: bytes = self._redrive(keys=[keys.LIVE, keys.DEAD], args=[letter_id, self._hard_cap])
        except ResponseError as error:
            if is_exhausted(error):
                raise StreamExhaustedError from error
            raise
        if outcome == b"full":
            raise StreamFullError(self._hard_cap, self._hard_cap)
        return None if outcome == b"gone" else outcome.decode()

    def remove(self, letter_id: str) -> bool:
        """Delete a letter permanently. Returns whether it existed."""
        return bool(self._client.xdel(keys.DEAD, letter_id))

    def _read(self, command: str, first: str, last: str, count: int) -> list[DeadLetter]:
        [rows] = execute(self._client, keys.DEAD, (command, keys.DEAD, first, last, "COUNT", count))
        return [_letter(*row) for row in rows]


def _letter(letter_id: bytes, flat: Sequence[bytes]) -> DeadLetter:
    """The fields of the letter come last; a field of the same name before them belongs to the event."""
    own: dict[bytes, bytes] = {}
    fields = []
    for name, value in zip(flat[-2::-2], flat[::-2], strict=True):
        if name in _OWN and name not in own:
            own[name] = value
        else:
            fields.append((name, value))
    return DeadLetter(
        letter_id=letter_id.decode(),
        reason=escaped(own.get(b"dead_reason", b"")),
        source_id=escaped(own.get(b"dead_source_id", b"")),
        deliveries=_number(own.get(b"dead_deliveries", b"")),
        dead_at_ms=_number(own.get(b"dead_at", b"")),
        fields=dict(reversed(fields)),
    )


def _shown(value: bytes) -> str:
    return escaped(value[:80])


def _number(value: bytes) -> int:
    return int(value) if value.isdigit() else 0
