"""The writer of states, on one server and on clusters: put_states.lua sets fields and expiry, and the newer state wins.

The script alone decides; nothing here compares stamps. So a call whose reply was lost may be sent again.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from redis import Redis, RedisCluster
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from avo_project.redis_client.persistent_connection import Argument, Pipeline, pack, server_of
from avo_project.redis_client.scripts import read_lua
from regime import keys
from regime.conf import RegimeConf
from regime.domain.freshness import FUTURE_TOLERANCE_SECONDS, LIFE_SECONDS
from regime.domain.state import RegimeState, encode_fields


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


_LIFE_MS = LIFE_SECONDS * 1000
_FUTURE_MS = FUTURE_TOLERANCE_SECONDS * 1000


class PutOutcome(IntEnum):
    """The outcome of one write: the replies of put_states.lua."""

    WRITTEN = 1
    NEWER_IS_THERE = 0
    PAST_ITS_LIFE = -1


Put = tuple[RegimeState, PutOutcome]


@dataclass(slots=True)
class _Lane:  # one server: the batch being filled, and the calls sent and not yet answered
    pipeline: Pipeline
    batch: list[RegimeState] = field(default_factory=list)
    sent: deque[list[RegimeState]] = field(default_factory=deque)


class StateWriter:
    """Puts states by ``conf.write_batch`` a call, one a call on a cluster, with ``conf.write_calls_in_flight`` calls on
    their way to each server. ``client`` is the Redis or RedisCluster of the role ``regime``."""

    def __init__(self, client: Any, conf: RegimeConf) -> None:
        self._client = client
        self._shards = Shards(client)
        self._script = client.register_script(read_lua("regime", "put_states"))
        self._batch_size = self._shards.keys_per_script(conf.write_batch)
        self._calls_in_flight = conf.write_calls_in_flight

    def put_many(self, states: Iterable[RegimeState], now: float | None) -> Iterator[Put]:
        """The outcome of each state, in order for each server. ``now`` (Unix seconds) replaces the server's clock."""
        self._client.script_load(self._script.script)
        with ExitStack() as stack:
            lanes: dict[Redis, _Lane] = {}
            for state in states:
                lane = self._lane_of(state, lanes, stack)
                lane.batch.append(state)
                if len(lane.batch) >= self._batch_size:
                    yield from self._send(lane, now)
            for lane in lanes.values():
                if lane.batch:
                    yield from self._send(lane, now)
                while lane.sent:
                    yield from self._receive(lane, now)

    def _lane_of(self, state: RegimeState, lanes: "dict[Redis, _Lane]", stack: ExitStack) -> _Lane:
        server = self._shards.of(keys.state_key(state.symbol))
        if server not in lanes:
            lanes[server] = _Lane(stack.enter_context(Pipeline(server)))
        return lanes[server]

    def _send(self, lane: _Lane, now: float | None) -> Iterable[Put]:
        """Sends the batch; returns the outcomes of an earlier call once enough are on their way."""
        puts = self._receive(lane, now) if len(lane.sent) >= self._calls_in_flight else ()
        batch, lane.batch = lane.batch, []
        lane.sent.append(batch)
        try:
            names, arguments = _call(batch, now)
            lane.pipeline.post(pack("EVALSHA", self._script.sha, len(names), *names, *arguments), 1)
        except RedisConnectionError:
            return [*puts, *self._resend(lane, now)]
        return puts

    def _receive(self, lane: _Lane, now: float | None) -> Iterable[Put]:
        """The outcomes of the oldest call on its way."""
        try:
            [codes] = lane.pipeline.receive()
        except RedisConnectionError:
            return self._resend(lane, now)
        states = lane.sent.popleft()
        if isinstance(codes, ResponseError):  # NOSCRIPT after a restart, MOVED, READONLY
            return self._put(states, now)
        return [(state, PutOutcome(code)) for state, code in zip(states, codes, strict=True)]

    def _resend(self, lane: _Lane, now: float | None) -> list[Put]:
        """Puts again what was on its way over a connection that is lost."""
        lost, lane.sent = lane.sent, deque()
        lane.pipeline.restart()
        return [put for states in lost for put in self._put(states, now)]

    def _put(self, states: list[RegimeState], now: float | None) -> list[Put]:
        """By redis-py, which loads the script, follows MOVED, or raises RedisError."""
        names, arguments = _call(states, now)
        codes = self._script(keys=names, args=arguments)
        return [(state, PutOutcome(code)) for state, code in zip(states, codes, strict=True)]


def _call(states: Sequence[RegimeState], now: float | None) -> tuple[list[str], list[Argument]]:
    """KEYS and ARGV of put_states.lua."""
    now_ms: Argument = "" if now is None else int(now * 1000)
    names = [keys.state_key(state.symbol) for state in states]
    return names, [now_ms, _LIFE_MS, _FUTURE_MS, *map(encode_fields, states)]
