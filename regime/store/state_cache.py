"""The states in Redis, on one server and on clusters: written with their expiry in one step, read in one round trip,
and read in one SCAN.

Of two states the newer wins. put_states.lua alone decides that; nothing here compares stamps. So a call whose reply was
lost may be sent again.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import chain
from typing import Any, Self

from django_redis import get_redis_connection
from redis import Redis
from redis.exceptions import AskError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from avo_project.redis_client.cluster import ClusterClient, IncompleteScanError
from avo_project.redis_client.persistent_connection import Argument, Pipeline, Reply, execute_packed, pack, server_of
from avo_project.redis_client.scripts import read_lua
from regime import keys
from regime.conf import RegimeConf
from regime.domain.freshness import FUTURE_TOLERANCE_SECONDS, LIFE_SECONDS
from regime.domain.state import (
    AS_WE_WRITE,
    WITH_THROUGH,
    RawStates,
    RegimeState,
    StoredState,
    decode_state,
    encode_fields,
    encode_stamp,
    encode_values,
)

_LIFE_MS = LIFE_SECONDS * 1000
_FUTURE_MS = FUTURE_TOLERANCE_SECONDS * 1000
_KEYS_A_STEP = 40  # docs/decisions/regime.md: fewer take longer, more let readers wait
_NOTHING = RawStates([], [])


class Shards:
    """Finds the server of a key. ``client`` is a Redis or a ClusterClient."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._is_cluster = isinstance(client, ClusterClient)

    def of(self, key: str) -> "Redis":
        """The server that holds ``key``. On a cluster its answer may still be MOVED, when slots are on their way."""
        return server_of(self._client, key)

    def all(self) -> "list[Redis]":
        """Every server with keys of its own."""
        return self._client.primaries() if self._is_cluster else [self._client]

    @contextmanager
    def scan(self) -> Iterator[list[Redis]]:
        """Every server, for a scan of all keys. On a cluster it raises IncompleteScanError at the start when slots
        have no primary or are moving, and at the end when they have moved meanwhile: SCAN may have missed keys."""
        before = self._client.layout() if self._is_cluster else None
        yield self.all()
        if self._is_cluster and self._client.layout() != before:
            raise IncompleteScanError("incomplete: slots of the cluster moved during the scan. Run it again.")

    def keys_per_script(self, wanted: int) -> int:
        """On a cluster the keys of one script call must share a slot, and states are spread over all."""
        return 1 if self._is_cluster else wanted


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
    their way to each server. ``client`` is the Redis or ClusterClient of the role ``regime``.

    A call with several states is a transaction, which stages their fields in hashes of their own: HSET takes half the
    time of the same from Lua. On a cluster such hashes have another slot than the states.
    """

    def __init__(self, client: Any, conf: RegimeConf) -> None:
        self._client = client
        self._shards = Shards(client)
        self._script = client.register_script(read_lua("regime", "put_states"))
        self._batch_size = self._shards.keys_per_script(conf.write_batch)
        self._staged = [keys.staged(number) for number in range(self._batch_size)] if self._batch_size > 1 else []
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
            lane.pipeline.post(*self._packed(batch, now))
        except RedisConnectionError:
            return [*puts, *self._resend(lane, now)]
        return puts

    def _receive(self, lane: _Lane, now: float | None) -> Iterable[Put]:
        """The outcomes of the oldest call on its way."""
        try:
            codes = lane.pipeline.receive()[-1]
        except RedisConnectionError:
            return self._resend(lane, now)
        states = lane.sent.popleft()
        if self._staged and isinstance(codes, list):
            codes = codes[-1]
        if isinstance(codes, ResponseError):  # NOSCRIPT after a restart, MOVED, READONLY
            return self._put(states, now)
        return [(state, PutOutcome(code)) for state, code in zip(states, codes, strict=True)]

    def _resend(self, lane: _Lane, now: float | None) -> list[Put]:
        """Puts again what was on its way over a connection that is lost."""
        lost, lane.sent = lane.sent, deque()
        lane.pipeline.restart()
        return [put for states in lost for put in self._put(states, now)]

    def _put(self, states: list[RegimeState], now: float | None) -> list[Put]:
        """One by one by redis-py, which loads the script, follows MOVED, or raises RedisError."""
        calls = [
            self._script(keys=[keys.state_key(state.symbol)], args=[*_limits(now), *encode_fields(state)])
            for state in states
        ]
        if self._staged:  # a transaction leaves them when the server lost the script
            self._client.delete(*self._staged)
        return [(state, PutOutcome(code)) for state, [code] in zip(states, calls, strict=True)]

    def _packed(self, states: Sequence[RegimeState], now: float | None) -> tuple[bytes, int]:
        """The request that puts ``states``, and how many replies it has; the outcomes are in the last one."""
        names = [keys.state_key(state.symbol) for state in states]
        if not self._staged:
            return pack("EVALSHA", self._script.sha, 1, *names, *_limits(now), *encode_fields(states[0])), 1
        staged = self._staged[: len(states)]
        stamps = [encode_stamp(state.computed_at) for state in states]
        arguments = (*names, *staged, *_limits(now), *stamps)
        commands = [
            pack("MULTI"),
            pack("DEL", *staged),  # another program may have left fields there
            *map(_packed_hset, staged, states),
            pack("EVALSHA", self._script.sha, 2 * len(names), *arguments),
            pack("EXEC"),
        ]
        return b"".join(commands), len(commands)


def _limits(now: float | None) -> tuple[Argument, ...]:
    """The first ARGV of put_states.lua."""
    return "" if now is None else int(now * 1000), _LIFE_MS, _FUTURE_MS


def _template(fields: Sequence[bytes]) -> bytes:
    head = b"*%d\r\n$4\r\nHSET\r\n$%%d\r\n%%b\r\n" % (2 + 2 * len(fields))
    return head + b"".join([b"$%d\r\n%b\r\n$%%d\r\n%%b\r\n" % (len(name), name) for name in fields])


_FULL = {len(fields): _template(fields) for fields in (AS_WE_WRITE, WITH_THROUGH)}


def _packed_hset(name: str, state: RegimeState) -> bytes:
    """HSET in the wire protocol. For a full state a template takes less than half the time of ``pack``."""
    values = encode_values(state)
    if b"" in values:
        return pack("HSET", name, *encode_fields(state))
    return _FULL[len(values)] % (
        len(name),
        name.encode(),
        *chain.from_iterable(zip(map(len, values), values, strict=True)),
    )


class StateCache:
    """Puts and gets states. ``client`` is the Redis or ClusterClient of the role ``regime``."""

    def __init__(self, client: Any, conf: RegimeConf) -> None:
        self._client = client
        self._shards = Shards(client)
        self._writer = StateWriter(client, conf)

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS), RegimeConf.load())

    def get(self, symbol: str) -> StoredState | None:
        """The state under ``symbol``, whatever its age, or None when its key is no hash or not there."""
        key = keys.state_key(symbol)
        return self._state(symbol, *execute_packed(self._shards.of(key), _question(key), 2))

    def get_many(self, symbols: Sequence[str]) -> list[StoredState | None]:
        """The state under each of ``symbols`` as in ``get``, in one round trip a server."""
        by_server: dict[Redis, list[int]] = {}
        for index, symbol in enumerate(symbols):
            by_server.setdefault(self._shards.of(keys.state_key(symbol)), []).append(index)
        found: list[StoredState | None] = [None] * len(symbols)
        for server, indexes in by_server.items():
            request = b"".join(_question(keys.state_key(symbols[index])) for index in indexes)
            replies = execute_packed(server, request, 2 * len(indexes))
            for index, expiry_ms, flat in zip(indexes, replies[0::2], replies[1::2], strict=True):
                found[index] = self._state(symbols[index], expiry_ms, flat)
        return found

    def _state(self, symbol: str, expiry_ms: Any, flat: Any) -> StoredState | None:
        if isinstance(flat, ResponseError):
            if str(flat).startswith("WRONGTYPE"):
                return None
            key = keys.state_key(symbol)  # MOVED, LOADING, NOAUTH: redis-py follows or raises
            expiry_ms, flat = self._client.pexpiretime(key), _flattened(self._client.hgetall(key))
        return decode_state(symbol, flat, expiry_ms / 1000 if expiry_ms >= 0 else None) if flat else None

    def put_many(self, states: Iterable[RegimeState], now: float | None = None) -> Iterator[Put]:
        """Writes ``states`` as they come, in constant memory, and yields the outcome of each soon after.

        ``now`` (Unix seconds) replaces the server's clock in tests. While the server writes some states the next are
        taken from ``states``.
        """
        return self._writer.put_many(states, now)


def _question(key: str) -> bytes:
    # The expiry first: a writer between the two commands makes the state look older, never younger.
    return pack(b"PEXPIRETIME", key) + pack(b"HGETALL", key)


def _flattened(fields: dict[bytes, bytes]) -> list[bytes]:
    return [part for pair in fields.items() for part in pair]


class StateScan:
    """Scans all state keys of all servers; never part of a request. ``client`` is the Redis or ClusterClient of
    the role ``regime``."""

    def __init__(self, client: Any) -> None:
        self._shards = Shards(client)

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS))

    def batches(self) -> Iterator[RawStates]:
        """All states, raw, some hundred at a time; a state may come twice. Keys of another type are left out.

        Raises IncompleteScanError when states may be missing.
        """
        with self._shards.scan() as servers:
            for server in servers:
                yield from self._batches_of(server)

    def _batches_of(self, server: "Redis") -> Iterator[RawStates]:
        # While the caller works on one batch the server reads the next two: a batch is received before the one ahead
        # of it is handed out, and the next SCAN is sent before the reads of the names that the last one found.
        with Pipeline(server) as window:
            window.post(_scan(b"0"), 1)
            cursor, received = b"", _NOTHING
            names: list[bytes] | None = None
            while cursor != b"0":
                cursor, found = _scanned(window.receive()[0])
                if cursor != b"0":
                    window.post(_scan(cursor), 1)
                window.post(_questions(found), len(found))
                yield received
                received, names = _NOTHING if names is None else _raw(names, window.receive()), found
            yield received
            yield _raw(names or [], window.receive())


def _scan(cursor: bytes) -> bytes:
    return pack(b"SCAN", cursor, b"MATCH", keys.STATE_PATTERN, b"COUNT", _KEYS_A_STEP)


def _scanned(reply: Reply) -> tuple[bytes, list[bytes]]:
    if isinstance(reply, ResponseError):
        raise reply
    cursor, found = reply
    return cursor, found


def _questions(names: list[bytes]) -> bytes:
    return b"".join([b"*2\r\n$7\r\nHGETALL\r\n$%d\r\n%b\r\n" % (len(name), name) for name in names])


def _raw(names: list[bytes], replies: list[Reply]) -> RawStates:
    raw = RawStates([keys.symbol_of(name) for name in names], replies)
    if all(type(reply) is list and reply for reply in replies):
        return raw
    for reply in replies:
        if isinstance(reply, AskError):  # or MOVED: the slot of a key that was found has left this server
            raise IncompleteScanError(f"incomplete: {reply} during the scan. Run it again.")
    return raw.only([isinstance(reply, list) and bool(reply) for reply in replies])
