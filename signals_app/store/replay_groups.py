"""Replay groups, which get one range of the stream again."""

from collections.abc import Sequence
from typing import Any, Self

from django_redis import get_redis_connection

from avo_project.redis_client.scripts import read_lua
from signals_app import keys
from signals_app.domain.entry import END, just_before
from signals_app.domain.names import unescaped


class ReplayRefusedError(Exception):
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
        """Start a replay of the entries from ``first`` to ``last``. Raises ReplayRefusedError."""
        arguments = [unescaped(group), just_before(first), last, END]
        outcome = self._start(keys=[keys.LIVE, keys.REPLAY_ENDS, keys.MEMBERS], args=arguments)
        if outcome == b"other":
            raise ReplayRefusedError(f"{group} is a group of live consumers; a replay needs a group of its own")
        if outcome == b"busy":
            raise ReplayRefusedError(f"{group} has not finished its last range; wait for it or choose another group")

    def end_of(self, group: str) -> str | None:
        """The last id of the range; None for a group that is not a replay group."""
        end: bytes | None = self._client.hget(keys.REPLAY_ENDS, unescaped(group))
        return end.decode() if end is not None else None

    def finish(self, group: str, end: str, beyond: Sequence[str]) -> bool:
        """Finish the replay and acknowledge entries ``beyond`` its range. False when the group has a new range."""
        acknowledged = self._finish(keys=[keys.LIVE, keys.REPLAY_ENDS], args=[unescaped(group), end, END, *beyond])
        return int(acknowledged) >= 0
