"""Many states to the servers of a cluster, by the script: a transaction there would hold one state at a time too."""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from avo_project.kept_connection import Window
from regime import keys
from regime.rules.state import RegimeState
from regime.store.put_script import Put, PutOutcome, PutScript
from regime.store.shards import Shards


@dataclass(slots=True)
class _Lane:  # one server: the calls sent and not yet answered
    window: Window
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
            lanes[server] = _Lane(stack.enter_context(Window(server)))
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
