"""The states in Redis: written with their expiry in one step, read in one round trip."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Self

from django_redis import get_redis_connection
from redis import Redis
from redis.exceptions import ResponseError

from avo_project.lua import read_lua
from regime import keys
from regime.conf import RegimeConf, regime_conf
from regime.rules.freshness import FUTURE_TOLERANCE_SECONDS, LIFE_SECONDS
from regime.rules.state import FIELDS, RegimeState, StoredState, decode_state, encode_scores, encode_stamp
from regime.store.shards import Shards
from regime.store.wire import Window, exchange, pack

_LIFE_MS = LIFE_SECONDS * 1000
_FUTURE_MS = FUTURE_TOLERANCE_SECONDS * 1000
_NAMES = ",".join(FIELDS)


class PutOutcome(IntEnum):
    """What became of a state that was put: the replies of put_states.lua."""

    WRITTEN = 1
    NEWER_IS_THERE = 0
    PAST_ITS_LIFE = -1


Put = tuple[RegimeState, PutOutcome]


@dataclass(slots=True)
class _Lane:  # one server: states not yet sent, and those sent and not yet answered
    window: Window
    waiting: list[RegimeState] = field(default_factory=list)
    sent: deque[list[RegimeState]] = field(default_factory=deque)


class StateCache:
    """Puts and gets states. ``client`` is the Redis or RedisCluster of the role ``regime``."""

    def __init__(self, client: Any, conf: RegimeConf) -> None:
        self._client = client
        self._conf = conf
        self._shards = Shards(client)
        self._put_states = client.register_script(read_lua("regime", "put_states"))

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS), regime_conf())

    def get(self, symbol: str) -> StoredState | None:
        """The state under ``symbol``, whatever its age, or None when its key is no hash or not there."""
        key = keys.state_key(symbol)
        return self._state(symbol, *exchange(self._shards.of(key), _question(key), 2))

    def get_many(self, symbols: Sequence[str]) -> list[StoredState | None]:
        """The state under each of ``symbols`` as in ``get``, in one round trip a server."""
        by_server: dict[Redis, list[int]] = {}
        for place, symbol in enumerate(symbols):
            by_server.setdefault(self._shards.of(keys.state_key(symbol)), []).append(place)
        found: list[StoredState | None] = [None] * len(symbols)
        for server, places in by_server.items():
            request = b"".join(_question(keys.state_key(symbols[place])) for place in places)
            replies = exchange(server, request, 2 * len(places))
            for place, expiry_ms, flat in zip(places, replies[0::2], replies[1::2], strict=True):
                found[place] = self._state(symbols[place], expiry_ms, flat)
        return found

    def _state(self, symbol: str, expiry_ms: Any, flat: Any) -> StoredState | None:
        if isinstance(flat, ResponseError):
            if str(flat).startswith("WRONGTYPE"):
                return None
            key = keys.state_key(symbol)  # MOVED, LOADING, NOAUTH: redis-py follows or raises
            expiry_ms, flat = self._client.pexpiretime(key), _flattened(self._client.hgetall(key))
        return decode_state(symbol, flat, expiry_ms / 1000 if expiry_ms >= 0 else None) if flat else None

    def put_many(self, states: Iterable[RegimeState], now: float | None = None) -> Iterator[Put]:
        """Writes ``states`` as they come, in constant memory, and tells of each what became of it, soon after.

        ``now`` (Unix seconds) takes the place of the server's clock in tests. While the server writes one batch the
        next is taken from ``states``.
        """
        self._client.script_load(self._put_states.script)
        batch = self._shards.keys_per_script(self._conf.write_batch)
        with ExitStack() as stack:
            lanes: dict[Redis, _Lane] = {}
            for state in states:
                lane = self._lane_of(state, lanes, stack)
                lane.waiting.append(state)
                if len(lane.waiting) >= batch:
                    yield from self._send(lane, now)
            for lane in lanes.values():
                yield from self._send(lane, now)
                while lane.sent:
                    yield from self._outcomes(lane, now)

    def _lane_of(self, state: RegimeState, lanes: "dict[Redis, _Lane]", stack: ExitStack) -> _Lane:
        server = self._shards.of(keys.state_key(state.symbol))
        if server not in lanes:
            lanes[server] = _Lane(stack.enter_context(Window(server)))
        return lanes[server]

    def _send(self, lane: _Lane, now: float | None) -> Iterator[Put]:
        if not lane.waiting:
            return
        names, arguments = _names(lane.waiting), _arguments(lane.waiting, now)
        lane.window.post(pack("EVALSHA", self._put_states.sha, len(names), *names, *arguments), 1)
        lane.sent.append(lane.waiting)
        lane.waiting = []
        if len(lane.sent) >= self._conf.write_calls_in_flight:
            yield from self._outcomes(lane, now)

    def _outcomes(self, lane: _Lane, now: float | None) -> Iterator[Put]:
        states = lane.sent.popleft()
        [codes] = lane.window.receive()
        if isinstance(codes, ResponseError):  # NOSCRIPT after a restart, MOVED: redis-py knows what to do or raises
            codes = self._put_states(keys=_names(states), args=_arguments(states, now))
        return zip(states, map(PutOutcome, codes), strict=True)


def _question(key: str) -> bytes:
    # The expiry first: a writer between the two commands makes the state look older, never younger.
    return pack(b"PEXPIRETIME", key) + pack(b"HGETALL", key)


def _names(states: Sequence[RegimeState]) -> list[str]:
    return [keys.state_key(state.symbol) for state in states]


def _arguments(states: Sequence[RegimeState], now: float | None) -> list[bytes | str | int]:
    arguments: list[bytes | str | int] = ["" if now is None else int(now * 1000), _LIFE_MS, _FUTURE_MS, _NAMES]
    for state in states:
        arguments += encode_stamp(state.computed_at), encode_scores(state.scores)
    return arguments


def _flattened(fields: dict[bytes, bytes]) -> list[bytes]:
    return [part for pair in fields.items() for part in pair]
