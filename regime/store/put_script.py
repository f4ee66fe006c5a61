"""put_states.lua: states go in unless newer ones are there, with their expiry in the same step."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from avo_project.kept_connection import pack
from avo_project.lua import read_lua
from regime import keys
from regime.rules.freshness import FUTURE_TOLERANCE_SECONDS, LIFE_SECONDS
from regime.rules.state import FIELDS, RegimeState, encode_scores, encode_stamp

LIFE_MS = LIFE_SECONDS * 1000
FUTURE_MS = FUTURE_TOLERANCE_SECONDS * 1000
_NAMES = ",".join(FIELDS)


class PutOutcome(IntEnum):
    """What became of a state that was put: the replies of put_states.lua."""

    WRITTEN = 1
    NEWER_IS_THERE = 0
    PAST_ITS_LIFE = -1


Put = tuple[RegimeState, PutOutcome]


class PutScript:
    """The script on the servers of ``client``. ``now`` (Unix seconds) takes the place of the server's clock."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._script = client.register_script(read_lua("regime", "put_states"))

    def load(self) -> None:
        """Sends the script to all servers, for those who send calls by ``packed``."""
        self._client.script_load(self._script.script)

    def packed(self, states: Sequence[RegimeState], now: float | None) -> bytes:
        names = _names(states)
        return pack("EVALSHA", self._script.sha, len(names), *names, *_arguments(states, now))

    def call(self, states: Sequence[RegimeState], now: float | None) -> list[PutOutcome]:
        """Puts ``states`` the way of redis-py, which loads the script, follows MOVED, or raises RedisError."""
        return [PutOutcome(code) for code in self._script(keys=_names(states), args=_arguments(states, now))]


def _names(states: Sequence[RegimeState]) -> list[str]:
    return [keys.state_key(state.symbol) for state in states]


def _arguments(states: Sequence[RegimeState], now: float | None) -> list[bytes | str | int]:
    arguments: list[bytes | str | int] = ["" if now is None else int(now * 1000), LIFE_MS, FUTURE_MS, _NAMES]
    for state in states:
        arguments += encode_stamp(state.computed_at), encode_scores(state.scores), state.data_through
    return arguments
