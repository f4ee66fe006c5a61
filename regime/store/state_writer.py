"""Writes states with their expiry by one script; the newer state wins. Serves one server and clusters."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from redis import Redis, RedisCluster
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from avo_project.redis_client.persistent_connection import Pipeline, pack, server_of
from avo_project.redis_client.scripts import read_lua
from regime import keys
from regime.domain.freshness import FUTURE_TOLERANCE_SECONDS, LIFE_SECONDS
from regime.domain.state import FIELDS, RegimeState, encode_scores, encode_stamp


class Shards:
    """Finds the server of a key. ``client`` is a Redis or a RedisCluster."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._is_cluster = isinstance(client, RedisCluster)

    def of(self, key: str) -> "Redis":
        """The server that holds ``key``. On a cluster its answer may still be MOVED, when slots are on their way."""
        return server_of(self._client, key)

    def all(self) -> "list[Redis]":
        """Every server with keys of its own."""
        if not self._is_cluster:
            return [self._client]
        return [self._client.get_redis_connection(node) for node in self._client.get_primaries()]

    def keys_per_script(self, wanted: int) -> int:
        """On a cluster the keys of one script call must share a slot, and states are spread over all."""
        return 1 if self._is_cluster else wanted


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


@dataclass(slots=True)
class _Lane:  # one server: the calls sent and not yet answered
    window: Pipeline
    sent: deque[list[RegimeState]] = field(default_factory=deque)


class ScriptedWriter:
    """Puts states one a call, with ``calls_in_flight`` on their way to each server."""

    def __init__(self, shards: Shards, script: PutScript, calls_in_flight: int) -> None:
        self._shards = shards
        self._script = script
        self._calls_in_flight = calls_in_flight

    def put_many(self, states: Iterable[RegimeState], now: float | None) -> Iterator[Put]:
        self._script.load()
        with ExitStack() as stack:
            lanes: dict[Redis, _Lane] = {}
            for state in states:
                lane = self._lane_of(state, lanes, stack)
                yield from self._send(lane, state, now)
                if len(lane.sent) >= self._calls_in_flight:
                    yield from self._outcomes(lane, now)
            for lane in lanes.values():
                while lane.sent:
                    yield from self._outcomes(lane, now)

    def _send(self, lane: _Lane, state: RegimeState, now: float | None) -> Iterable[Put]:
        lane.sent.append([state])
        try:
            lane.window.post(self._script.packed([state], now), 1)
        except RedisConnectionError:
            return self._start_over(lane, now)
        return ()

    def _start_over(self, lane: _Lane, now: float | None) -> Iterable[Put]:
        """What was on its way over a connection that is lost is put again, which does no harm."""
        lost, lane.sent = lane.sent, deque()
        lane.window.restart()
        return [put for states in lost for put in zip(states, self._script.call(states, now), strict=True)]

    def _lane_of(self, state: RegimeState, lanes: "dict[Redis, _Lane]", stack: ExitStack) -> _Lane:
        server = self._shards.of(keys.state_key(state.symbol))
        if server not in lanes:
            lanes[server] = _Lane(stack.enter_context(Pipeline(server)))
        return lanes[server]

    def _outcomes(self, lane: _Lane, now: float | None) -> Iterable[Put]:
        try:
            [codes] = lane.window.receive()
        except RedisConnectionError:
            return self._start_over(lane, now)
        states = lane.sent.popleft()
        if isinstance(codes, ResponseError):  # NOSCRIPT after a restart, MOVED
            codes = self._script.call(states, now)
        return zip(states, map(PutOutcome, codes), strict=True)
