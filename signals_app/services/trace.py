"""Trace of one signal: its event, its deliveries per group, its execution or dead letter."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from signals_app.domain.entry import Entry, order
from signals_app.models import Execution
from signals_app.store.dead_letters import DeadLetter, DeadLetters
from signals_app.store.group import ConsumerGroup
from signals_app.store.stream import SignalStream

_MAX_ENTRIES = 5_000
_MAX_LETTERS = 1_000
_PAGE = 500


@dataclass(frozen=True, slots=True)
class GroupDelivery:
    """State of an entry in a group; ``holder`` is the consumer that holds it and the delivery count."""

    group: str
    is_delivered: bool
    holder: tuple[str, int] | None


@dataclass(frozen=True, slots=True)
class Trace:
    """``entry`` and ``letter`` are None if not found among the newest entries or dead letters."""

    signal_id: UUID
    entry: Entry | None
    deliveries: tuple[GroupDelivery, ...]
    letter: DeadLetter | None
    execution: Execution | None

    @property
    def is_known(self) -> bool:
        return bool(self.entry or self.letter or self.execution)


class TraceReader:
    """Reads a bounded part of the stream, newest first. Read-only."""

    def __init__(self, stream: SignalStream, letters: DeadLetters) -> None:
        self._stream = stream
        self._letters = letters

    @classmethod
    def connect(cls) -> Self:
        return cls(SignalStream.connect(), DeadLetters.connect())

    def read(self, signal_id: UUID) -> Trace:
        """The trace of a signal."""
        wanted = str(signal_id)
        entry = next((one for one in self._entries() if _names(one.fields.get(b"signal_id", b""), wanted)), None)
        letters = self._letters.newest_first(_MAX_LETTERS)
        letter = next((one for one in letters if _names(one.fields.get(b"signal_id", b""), wanted)), None)
        execution = Execution.objects.filter(signal_id=signal_id).first()
        deliveries = tuple(self._delivery_of(group, entry) for group in self._stream.groups()) if entry else ()
        return Trace(signal_id, entry, deliveries, letter, execution)

    def _entries(self) -> Iterator[Entry]:
        before, read = None, 0
        while read < _MAX_ENTRIES:
            page = self._stream.newest_first(before=before, count=_PAGE)
            yield from page
            if len(page) < _PAGE:
                return
            before, read = page[-1].entry_id, read + len(page)

    def _delivery_of(self, group: tuple[str, str], entry: Entry) -> GroupDelivery:
        name, last_delivered = group
        is_delivered = order(entry.entry_id) <= order(last_delivered)
        return GroupDelivery(name, is_delivered, ConsumerGroup.connect(name).holder_of(entry.entry_id))


def _names(value: bytes, signal_id: str) -> bool:
    return value.decode(errors="replace").lower() == signal_id
