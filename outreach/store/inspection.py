"""The read-only view of the live queue. Reads not marked as cheap traverse whole lanes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from django_redis import get_redis_connection
from redis.exceptions import ResponseError

from outreach import keys
from outreach.domain.inbox_rules import History

_CHUNK = 5000
_LOOKUP_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Overview:
    """Figures of the whole queue, each O(log n) or better. Times are server ms."""

    now_ms: int
    lanes_due: int
    in_flight: int
    leases_ended: int
    workers: tuple[tuple[str, int], ...]
    is_initialised: bool


@dataclass(frozen=True, slots=True)
class LaneView:
    """One inbox's lane: touches due now, touches due later, and the history that its limits apply to."""

    inbox_id: int
    waiting: int
    delayed: int
    next_ms: int | None
    history: History


@dataclass(frozen=True, slots=True)
class LaneSummary:
    """The state of an inbox's lane without its log. ``next_ms``: when the lane is due; None: nothing is queued."""

    in_flight: int
    held_until_ms: int
    next_ms: int | None


@dataclass(frozen=True, slots=True)
class LeasedTouch:
    """A touch in flight, and the worker that leases it."""

    touch_id: str
    inbox_id: int
    worker: str
    lease_ends_ms: int


class QueueView:
    """Reads the queue; never writes."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS))

    def overview(self) -> Overview:
        """Cheap: six commands, in one round trip after the server's time."""
        now_ms = self.now_ms()
        pipeline = self._client.pipeline(transaction=False)
        pipeline.zcount(keys.READY, "-inf", now_ms).hlen(keys.RESERVATIONS)
        pipeline.zcount(keys.LEASES, "-inf", now_ms).zrange(keys.WORKERS, 0, -1, withscores=True).exists(
            keys.INITIALISED
        )
        due, in_flight, ended, workers, initialised = pipeline.execute()
        seen = tuple((name.decode(), int(at_ms)) for name, at_ms in workers)
        return Overview(now_ms, due, in_flight, ended, seen, bool(initialised))

    def lane_count(self) -> int:
        """Inboxes with touches in the queue. Cheap."""
        return int(self._client.zcard(keys.READY))

    def lanes(self, inbox_ids: Iterable[int], sends: int = 0) -> dict[int, LaneView]:
        """The lanes of these inboxes with their last ``sends`` sends, in one round trip."""
        wanted = list(inbox_ids)
        pipeline = self._client.pipeline(transaction=False)
        for inbox_id in wanted:
            pipeline.llen(keys.lane(inbox_id)).zcard(keys.delayed(inbox_id)).zscore(keys.READY, inbox_id)
            pipeline.hget(keys.IN_FLIGHT, inbox_id).hget(keys.HELD, inbox_id).lrange(
                keys.log(inbox_id), -sends or 1, -1 if sends else 0
            )
        replies = pipeline.execute()
        return {inbox_id: _lane_view(inbox_id, *replies[at * 6 : at * 6 + 6]) for at, inbox_id in enumerate(wanted)}

    def summaries(self, inbox_ids: Sequence[int]) -> dict[int, LaneSummary]:
        """Cheap: three commands for any number of inboxes."""
        if not inbox_ids:
            return {}
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hmget(keys.IN_FLIGHT, inbox_ids).hmget(keys.HELD, inbox_ids).zmscore(keys.READY, inbox_ids)
        rows = zip(inbox_ids, *pipeline.execute(), strict=True)
        return {
            inbox_id: LaneSummary(int(in_flight or 0), int(held or 0), None if score is None else int(score))
            for inbox_id, in_flight, held, score in rows
        }

    def without_lane(self, inbox_ids: Sequence[int]) -> list[int]:
        """The inboxes with nothing queued or in flight: two commands for each thousand."""
        found: list[int] = []
        for start in range(0, len(inbox_ids), _LOOKUP_BATCH):
            piece = inbox_ids[start : start + _LOOKUP_BATCH]
            pipeline = self._client.pipeline(transaction=False).zmscore(keys.READY, piece)
            rows = zip(piece, *pipeline.hmget(keys.IN_FLIGHT, piece).execute(), strict=True)
            found += [one for one, score, in_flight in rows if score is None and not int(in_flight or 0)]
        return found

    def stamps(self, sends: Mapping[int, int]) -> dict[int, list[int]]:
        """The server times in ms of the given number of last sends, oldest first: one command per inbox."""
        pipeline = self._client.pipeline(transaction=False)
        for inbox_id, count in sends.items():
            pipeline.lrange(keys.log(inbox_id), -count or 1, -1 if count else 0)
        return {
            inbox_id: [int(stamp) for stamp in log] for inbox_id, log in zip(sends, pipeline.execute(), strict=True)
        }

    def depths(self, inbox_ids: Iterable[int]) -> dict[int, int]:
        """The number of touches of each inbox in the queue, including those in flight. Two commands per inbox."""
        wanted = list(inbox_ids)
        if not wanted:
            return {}
        pipeline = self._client.pipeline(transaction=False)
        for inbox_id in wanted:
            pipeline.llen(keys.lane(inbox_id)).zcard(keys.delayed(inbox_id))
        *counts, in_flight = pipeline.hmget(keys.IN_FLIGHT, wanted).execute()
        sums = (waiting + delayed for waiting, delayed in zip(counts[::2], counts[1::2], strict=True))
        return {one: count + int(held or 0) for one, count, held in zip(wanted, sums, in_flight, strict=True)}

    def leased_touches(self, most: int) -> list[LeasedTouch]:
        """The touches in flight whose leases end first."""
        leases = self._client.zrange(keys.LEASES, 0, most - 1, withscores=True)
        owners = self._client.hmget(keys.RESERVATIONS, [touch for touch, _ in leases]) if leases else []
        return [_leased_touch(touch, ends, owner) for (touch, ends), owner in zip(leases, owners, strict=True) if owner]

    def position(self, inbox_id: int, touch_id: str) -> int | None:
        """The number of touches ahead of this one in its lane; None when it is not in the lane. Traverses the lane."""
        position: int | None = self._client.lpos(keys.lane(inbox_id), touch_id)
        return position

    def queued_ids(self, inbox_ids: Iterable[int]) -> set[str]:
        """Every touch in these lanes, due now or later: one round trip for all short lanes, long ones in chunks."""
        wanted = list(inbox_ids)
        pipeline = self._client.pipeline(transaction=False)
        for inbox_id in wanted:
            pipeline.lrange(keys.lane(inbox_id), 0, _CHUNK - 1).zrange(keys.delayed(inbox_id), 0, -1)
        replies = pipeline.execute()
        found = {one.decode() for reply in replies for one in reply}
        for inbox_id, first in zip(wanted, replies[::2], strict=True):
            start, piece = 0, first
            while len(piece) == _CHUNK:
                start += _CHUNK
                piece = self._client.lrange(keys.lane(inbox_id), start, start + _CHUNK - 1)
                found.update(one.decode() for one in piece)
        return found

    def reserved_ids(self) -> set[str]:
        """Every touch in flight."""
        return {one.decode() for one in self._client.hkeys(keys.RESERVATIONS)}

    def eviction_policy(self) -> str:
        """The server's ``maxmemory-policy``; empty when it is not readable."""
        try:
            policy = self._client.config_get("maxmemory-policy")
        except ResponseError:  # managed servers may not allow CONFIG
            return ""
        return str(policy.get("maxmemory-policy", ""))

    def is_initialised(self) -> bool:
        """Whether the queue has lost no data since it was last compared with the ledger."""
        return bool(self._client.exists(keys.INITIALISED))

    def now_ms(self) -> int:
        seconds, microseconds = self._client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000


def _lane_view(inbox_id: int, waiting: int, delayed: int, score: float | None, *rest: Any) -> LaneView:
    in_flight, held_until, log = rest
    history = History([int(stamp) for stamp in log], int(in_flight or 0), int(held_until or 0))
    return LaneView(inbox_id, waiting, delayed, None if score is None else int(score), history)


def _leased_touch(touch: bytes, ends_ms: float, owner: bytes) -> LeasedTouch:
    _, inbox_id, worker = owner.decode().split("|", 2)
    return LeasedTouch(touch.decode(), int(inbox_id), worker, int(ends_ms))
