"""Group membership of a consumer: its name, heartbeat and in-flight entries."""

import threading
import time
import uuid
from collections.abc import Callable, Collection, Sequence

from signals_app.store.group import ConsumerGroup, NameTakenError


class Member:
    """Shared by the consumer loop and the heartbeat thread.

    A process that was paused for longer than its heartbeat TTL has lost its entries to other consumers. Call ``lost``
    before acting on an entry; it renews the heartbeat first if the last one is too old.
    """

    def __init__(
        self,
        group: ConsumerGroup,
        names: Sequence[str],
        *,
        stale_after_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = ""
        self._group = group
        self._names = names
        self._token = uuid.uuid4().hex
        self._stale_after_seconds = stale_after_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._in_flight: set[str] = set()
        self._started: set[str] = set()
        self._lost: set[str] = set()
        self._name_taken: NameTakenError | None = None
        self._beaten_at = 0.0

    def join(self) -> None:
        """Acquire the first free name, with no entries in flight. Raises NameTakenError when none is free."""
        with self._lock:
            self._beaten_at = self._clock()
            self.name = self._group.acquire_name(self._names, self._token)
            self._name_taken = None
            self._clear()

    def beat(self) -> None:
        """Send one heartbeat. The loop learns of a lost name at its next call of ``lost``."""
        with self._lock:
            if self.name and self._name_taken is None:
                self._beat()

    def _beat(self) -> None:
        started_at = self._clock()
        try:
            kept = self._group.beat(self.name, self._token, sorted(self._in_flight))
        except NameTakenError as taken:
            self._name_taken = taken
        else:
            self._lost = self._in_flight - kept
            self._beaten_at = started_at

    def track(self, entry_ids: Collection[str]) -> None:
        """Mark entries as in flight and not started."""
        with self._lock:
            self._in_flight.update(entry_ids)
            self._started.difference_update(entry_ids)
            self._lost.difference_update(entry_ids)

    def start(self, entry_ids: Collection[str]) -> None:
        """Mark entries as started: their deliveries count, even if the handler does not finish."""
        with self._lock:
            self._started.update(entry_ids)

    def untrack(self, entry_ids: Collection[str]) -> None:
        with self._lock:
            self._in_flight.difference_update(entry_ids)
            self._started.difference_update(entry_ids)

    def untrack_all(self) -> None:
        with self._lock:
            self._clear()

    def drop_name(self) -> None:
        """Forget the name and all entries; the next step joins again."""
        with self._lock:
            self.name = ""
            self._clear()

    def lost(self, entry_ids: Collection[str]) -> set[str]:
        """In-flight entries that another consumer has claimed. Raises NameTakenError when the name itself is lost."""
        with self._lock:
            if self._name_taken is None and self._clock() - self._beaten_at > self._stale_after_seconds:
                self._beat()
            if self._name_taken is not None:
                raise self._name_taken
            return self._lost.intersection(entry_ids) if self._lost else set()

    def leave(self) -> int:
        """Release the name and all entries. Returns the number of entries released."""
        with self._lock:
            if not self.name:
                return 0
            released = self._group.release_name(self.name, self._token, list(self._in_flight - self._started))
            self.name = ""
            self._clear()
            return released

    def _clear(self) -> None:
        self._in_flight.clear()
        self._started.clear()
        self._lost.clear()
