"""Many states to one server, fenced by WATCH: the script costs the server almost twice as much for the same.

A batch takes two round trips. The first watches its keys and reads how old their states are; the second writes, fields
and expiry in one transaction, which does nothing if anybody touched a key in between. Then the script decides, as it
does for what was on its way over a connection that is lost: it may put a state twice.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from avo_project.redis_client.persistent_connection import Pipeline, Reply, pack
from regime import keys
from regime.domain.freshness import FUTURE_TOLERANCE_SECONDS, known_computed_at
from regime.domain.state import DATA_THROUGH, FIELDS, RegimeState, decode_stamp, encode_scores, encode_stamp
from regime.store.state_writer import LIFE_MS, Put, PutOutcome, PutScript

_TIME, _BEGIN, _END = pack(b"TIME"), pack(b"MULTI"), pack(b"EXEC")

_EXPIRY = b"*2\r\n$11\r\nPEXPIRETIME\r\n$%d\r\n%b\r\n"
_STAMPS = b"*4\r\n$5\r\nHMGET\r\n$%d\r\n%b\r\n$11\r\ncomputed_at\r\n$13\r\nbackfilled_at\r\n"
_DELETE = b"*2\r\n$3\r\nDEL\r\n$%d\r\n%b\r\n"
_EXPIRE = b"*3\r\n$9\r\nPEXPIREAT\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n"
_NO_KEY = -2  # for an expiry

_FIELD_NAMES = [b"\r\n$%d\r\n%b\r\n" % (len(name), name.encode()) for name in FIELDS]
_LENGTHS = [b"$%d\r\n" % length for length in range(64)]


@dataclass(slots=True)
class _Batch:
    states: list[RegimeState]
    names: list[bytes] = field(default_factory=list)
    outcomes: list[PutOutcome] | None = None  # None until the ages are read, and for what the script must decide
    replies: int = 0  # how many the transaction will have


@dataclass(slots=True)
class _Line:  # one connection: a batch whose transaction is sent, and one whose ages are asked for
    window: Pipeline
    sent: _Batch | None = None
    asked: _Batch | None = None


class WatchedWriter:
    """Puts ``batch`` states a transaction, over so many ``lines``: while the server works for one the others are made
    ready."""

    def __init__(self, server: "Redis", script: PutScript, batch: int, lines: int) -> None:
        self._server = server
        self._script = script
        self._batch = batch
        self._lines = lines

    def put_many(self, states: Iterable[RegimeState], now: float | None) -> Iterator[Put]:
        """What became of each state, in their order. ``now`` is in Unix seconds."""
        with ExitStack() as stack:
            lines = deque(_Line(stack.enter_context(Pipeline(self._server))) for _ in range(self._lines))
            rest = [None] * (2 * len(lines))  # the ages that are asked for, then what became of the states
            for batch in chain(_batches(states, self._batch), rest):
                try:
                    puts = self._turn(lines[0], batch, now)
                except RedisConnectionError:
                    puts = self._start_over(lines[0], batch, now)
                yield from puts
                lines.rotate(-1)

    def _turn(self, line: _Line, batch: _Batch | None, now: float | None) -> Iterable[Put]:
        """Hears what became of the batch that was sent, sends the one that was asked for, and asks for ``batch``."""
        sent, asked = line.sent, line.asked
        replies = line.window.receive() if len(line.window) else []
        heard = sent.replies if sent else 0
        request, count = b"", 0
        if asked is not None:
            request = _transaction(asked, replies[heard:], now)
            count = asked.replies
        if batch is not None:
            request += _question(batch)
            count += 2 + 2 * len(batch.states)
        if count:
            line.window.post(request, count)
        line.sent, line.asked = asked, batch
        return self._outcomes(sent, replies[:heard], now) if sent else ()

    def _start_over(self, line: _Line, batch: _Batch | None, now: float | None) -> Iterable[Put]:
        """The connection went, and the WATCH with it. Raises RedisError when there is no other."""
        sent, asked = line.sent, line.asked
        for lost in (sent, asked):
            if lost is not None:
                lost.outcomes, lost.replies = None, 0
        line.window.restart()
        if batch is not None:
            line.window.post(_question(batch), 2 + 2 * len(batch.states))
        line.sent, line.asked = asked, batch
        return self._outcomes(sent, [], now) if sent else ()

    def _outcomes(self, batch: _Batch, replies: list[Reply], now: float | None) -> Iterable[Put]:
        outcomes, ended = batch.outcomes, replies[-1] if replies else None
        if outcomes is None or not isinstance(ended, list) or any(isinstance(one, ResponseError) for one in ended):
            outcomes = self._script.call(batch.states, now)
        return zip(batch.states, outcomes, strict=True)


def _batches(states: Iterable[RegimeState], size: int) -> Iterator[_Batch]:
    """Batches of at most ``size`` states, no symbol twice in one."""
    held: dict[str, RegimeState] = {}
    for state in states:
        if len(held) >= size or state.symbol in held:
            yield _Batch(list(held.values()))
            held = {}
        held[state.symbol] = state
    if held:
        yield _Batch(list(held.values()))


def _question(batch: _Batch) -> bytes:
    batch.names = [keys.state_key(state.symbol).encode() for state in batch.states]
    ages = [_EXPIRY % (len(name), name) + _STAMPS % (len(name), name) for name in batch.names]
    return b"".join([pack(b"WATCH", *batch.names), _TIME, *ages])


def _transaction(batch: _Batch, replies: Sequence[Reply], now: float | None) -> bytes:
    """The states of ``batch`` that nobody has newer ones of, to be written. Empty where the script must decide: the
    connection then watches nothing any more."""
    _, time, *ages = replies
    parts = [_BEGIN]
    if not any(_is_failure(reply) for reply in replies if isinstance(reply, ResponseError)):
        now_ms = int(time[0]) * 1000 + int(time[1]) // 1000 if now is None else int(now * 1000)
        batch.outcomes = []
        for state, name, expiry_ms, stamps in zip(batch.states, batch.names, ages[0::2], ages[1::2], strict=True):
            outcome = _outcome(state, expiry_ms, stamps, now_ms)
            batch.outcomes.append(outcome)
            if outcome is PutOutcome.WRITTEN:
                parts += _put(name, state, now_ms, expiry_ms != _NO_KEY)
    batch.replies = 1 + len(parts)
    parts.append(_END)
    return b"".join(parts)


def _is_failure(error: ResponseError) -> bool:
    return not str(error).startswith("WRONGTYPE")  # no hash: it gives way


def _outcome(state: RegimeState, expiry_ms: int, stamps: Any, now_ms: int) -> PutOutcome:
    if state.computed_at * 1000 + LIFE_MS <= now_ms:
        return PutOutcome.PAST_ITS_LIFE
    if expiry_ms == _NO_KEY or isinstance(stamps, ResponseError):
        return PutOutcome.WRITTEN
    computed_at, backfilled_at = map(decode_stamp, stamps)
    held = known_computed_at(computed_at, expiry_ms / 1000 if expiry_ms >= 0 else None, backfilled_at)
    if held is not None and state.computed_at < held <= now_ms / 1000 + FUTURE_TOLERANCE_SECONDS:
        return PutOutcome.NEWER_IS_THERE  # one far ahead protects nothing
    return PutOutcome.WRITTEN


def _put(name: bytes, state: RegimeState, now_ms: int, is_there: bool) -> list[bytes]:
    """Without what was there before, other writers' fields too."""
    dies_ms = b"%d" % (int(min(state.computed_at * 1000, now_ms)) + LIFE_MS)
    put = [_hash(name, state), _EXPIRE % (len(name), name, len(dies_ms), dies_ms)]
    return [_DELETE % (len(name), name), *put] if is_there else put


def _hash(name: bytes, state: RegimeState) -> bytes:
    texts, through = encode_scores(state.scores).split(b","), state.data_through
    if b"" in texts:
        known = [part for pair in zip(FIELDS, texts, strict=True) if pair[1] for part in pair]
        if through:
            known += DATA_THROUGH, through
        return pack(b"HSET", name, b"computed_at", encode_stamp(state.computed_at), *known)
    parts = [b""] * (3 * len(texts))  # by hand, for packing 84 arguments costs more than all the rest
    parts[0::3] = _FIELD_NAMES
    parts[1::3] = [_LENGTHS[len(text)] for text in texts]
    parts[2::3] = texts
    stamp = encode_stamp(state.computed_at)
    last = b"\r\n$12\r\ndata_through\r\n$%d\r\n%b\r\n" % (len(through), through) if through else b"\r\n"
    head = b"*%d\r\n$4\r\nHSET\r\n$%d\r\n%b\r\n$11\r\ncomputed_at\r\n$%d\r\n%b"
    return b"".join([head % (86 if through else 84, len(name), name, len(stamp), stamp), *parts, last])
