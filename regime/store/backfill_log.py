"""What the last TTL backfill did or is doing, for those who watch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from django_redis import get_redis_connection

from regime import keys

_LIFE_SECONDS = 7 * 86_400
_SILENT_AFTER_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class BackfillNote:
    """The figures so far. ``state`` is running, done, stopped or failed; ``noted_at`` is in Unix seconds."""

    state: str
    noted_at: float
    is_dry_run: bool
    figures: Mapping[str, str]

    def is_running(self, now: float) -> bool:
        """Whether it goes on: one that was killed falls silent."""
        return self.state == "running" and now - self.noted_at < _SILENT_AFTER_SECONDS


class BackfillLog:
    """Keeps one note. ``client`` is the Redis of the role ``regime``."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS))

    def note(self, state: str, now: float, is_dry_run: bool, figures: Mapping[str, int | float]) -> None:
        pipeline = self._client.pipeline(transaction=True)
        pipeline.hset(
            keys.BACKFILL, mapping={**figures, "state": state, "noted_at": now, "is_dry_run": int(is_dry_run)}
        )
        pipeline.expire(keys.BACKFILL, _LIFE_SECONDS)
        pipeline.execute()

    def last(self) -> BackfillNote | None:
        """The last note, None when there was no backfill for a week."""
        held = {name.decode(): value.decode() for name, value in self._client.hgetall(keys.BACKFILL).items()}
        if not held:
            return None
        state, noted_at, is_dry_run = held.pop("state"), float(held.pop("noted_at")), held.pop("is_dry_run") == "1"
        return BackfillNote(state, noted_at, is_dry_run, held)
