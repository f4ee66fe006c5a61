"""The queue in Redis: one lane per inbox, one ready ZSET over all lanes, leases and fence tokens."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from django_redis import get_redis_connection

from avo_project.redis_client.persistent_connection import execute
from avo_project.redis_client.scripts import read_lua
from outreach import keys
from outreach.domain.inbox_rules import MOST_SENDS, EffectiveLimits
from outreach.domain.reservation import EnqueueBatch, LeaseOwner, Reservation, Settlement
from outreach.domain.reservation_plan import IdleHint

Item = TypeVar("Item")
_LANE_KEYS = (keys.lane, keys.delayed, keys.log)
_VERBS = ("enqueue", "reserve", "settle", "renew", "recover", "adopt", "recheck", "restore_log")
_LIMITS = 3
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Reserved:
    """The result of one ``reserve``. Times are server ms.

    ``upcoming``: the first lanes of the ready ZSET as (inbox id, ms). ``is_initialised``: False after Redis lost its
    data. ``first_lease_ms``: when the first lease of any worker ends.
    """

    now_ms: int
    is_initialised: bool
    first_lease_ms: int | None
    upcoming: tuple[tuple[int, int], ...]
    reservations: tuple[Reservation, ...]

    @property
    def due_lanes(self) -> tuple[int, ...]:
        return tuple(inbox_id for inbox_id, at_ms in self.upcoming if at_ms <= self.now_ms)

    @property
    def next_ms(self) -> int | None:
        """When the first lane is due."""
        return self.upcoming[0][1] if self.upcoming else None

    def idle_hint(self, since: float) -> IdleHint:
        """The idle hint as of ``since`` (Unix seconds by the caller's clock)."""
        seconds = [None if at is None else (at - self.now_ms) / 1000 for at in (self.next_ms, self.first_lease_ms)]
        return IdleHint(since, self.upcoming[0] if self.upcoming else None, *seconds)


class Lanes:
    """The queue's operations; each is one script and one round trip.

    ``now_ms`` returns the time in tests; by default the server's clock is used.
    """

    def __init__(self, client: Any, now_ms: Callable[[], int] | None = None) -> None:
        self._client = client
        self._now_ms = now_ms
        self._scripts = {verb: client.register_script(read_lua("outreach", verb)) for verb in _VERBS}

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS))

    def enqueue(self, inbox_id: int, touch_ids: Sequence[str], delayed: Sequence[tuple[str, int]] = ()) -> None:
        """Appends touches to the inbox's lane; those of ``delayed`` (id, due_ms) are sent once they are due."""
        self.enqueue_many([EnqueueBatch(inbox_id, touch_ids, delayed)])

    def enqueue_many(self, batches: Iterable[EnqueueBatch]) -> None:
        """Enqueues touches of many inboxes, a thousand touches per round trip."""
        for group in _grouped(_pieces(batches)):
            lane_keys = [keys.READY, keys.WAKE]
            arguments: list[str | int] = [self._now()]
            for one in group:
                lane_keys += [keys.lane(one.inbox_id), keys.delayed(one.inbox_id)]
                arguments += [one.inbox_id, len(one.touch_ids), len(one.delayed), *one.touch_ids]
                arguments += itertools.chain.from_iterable((due_ms, touch_id) for touch_id, due_ms in one.delayed)
            self._scripts["enqueue"](lane_keys, arguments)

    def reserve(
        self,
        lease_owner: LeaseOwner,
        wanted: int,
        effective_limits: Mapping[int, EffectiveLimits],
        *,
        max_per_lane: int = 1,
        ahead: int = 1,
    ) -> Reserved:
        """Leases up to ``wanted`` touches of the lanes in ``effective_limits``; also returns ``ahead`` lanes."""
        lane_keys = [keys.READY, keys.LEASES, keys.RESERVATIONS, keys.TOKEN, keys.WAKE, keys.INITIALISED]
        lane_keys += [keys.IN_FLIGHT, keys.HELD, keys.FULL]
        arguments: list[str | int] = [
            self._now(),
            lease_owner.worker,
            lease_owner.lease_ms,
            wanted,
            max_per_lane,
            ahead,
        ]
        for inbox_id, its in effective_limits.items():
            lane_keys += [name(inbox_id) for name in _LANE_KEYS]
            arguments += [inbox_id, its.open_from_ms, its.open_until_ms, *_pairs(its)]
        now_ms, token, initialised, lease_end, upcoming, leased = self._scripts["reserve"](lane_keys, arguments)
        return Reserved(
            now_ms=int(now_ms),
            is_initialised=bool(initialised),
            first_lease_ms=int(float(lease_end)) if lease_end else None,
            upcoming=tuple((int(inbox_id), int(float(at_ms))) for inbox_id, at_ms in _twos(upcoming)),
            reservations=_reservations(int(token), leased),
        )

    def first(self) -> tuple[int, int] | None:
        """The first lane of the ready ZSET and the server ms at which it is due: one cheap command."""
        head = self._client.zrange(keys.READY, 0, 0, withscores=True)
        return (int(head[0][0]), int(head[0][1])) if head else None

    def settle(self, settlements: Sequence[Settlement]) -> int:
        """Ends reservations; returns how many were still held under their tokens."""
        return sum(self._settle(batch) for batch in _batches(settlements))

    def _settle(self, settlements: Sequence[Settlement]) -> int:
        numbers: dict[int, int] = {}
        touches: list[str | int] = []
        for settlement in settlements:
            held = settlement.reservation
            number = numbers.setdefault(held.inbox_id, len(numbers) + 1)
            touches += [number, held.touch_id, held.token, _blank(settlement.due_ms), _blank(settlement.sent_ago_ms)]
        lane_keys = [keys.READY, keys.LEASES, keys.RESERVATIONS, keys.IN_FLIGHT, keys.FULL]
        for inbox_id in numbers:
            lane_keys += [name(inbox_id) for name in _LANE_KEYS]
        arguments = [self._now(), MOST_SENDS, len(numbers), *numbers, *touches]
        return int(self._scripts["settle"](lane_keys, arguments))

    def renew(self, lease_owner: LeaseOwner, held: Iterable[Reservation]) -> int:
        """Records the worker's heartbeat and renews its leases; returns how many it still holds."""
        pairs = itertools.chain.from_iterable((one.touch_id, one.token) for one in held)
        lane_keys = [keys.LEASES, keys.RESERVATIONS, keys.WORKERS]
        return int(self._scripts["renew"](lane_keys, [self._now(), lease_owner.worker, lease_owner.lease_ms, *pairs]))

    def recover(self, lease_owner: LeaseOwner, most: int) -> tuple[Reservation, ...]:
        """Takes over up to ``most`` reservations whose leases have expired, of any worker."""
        lane_keys = [keys.LEASES, keys.RESERVATIONS, keys.TOKEN]
        token, leased = self._scripts["recover"](
            lane_keys, [self._now(), lease_owner.worker, lease_owner.lease_ms, most]
        )
        return _reservations(int(token), leased)

    def adopt(self, inbox_id: int, lease_ms: int, held: Iterable[Reservation]) -> int:
        """Restores leases that Redis lost, under their old tokens; returns how many were missing."""
        pairs = itertools.chain.from_iterable((one.touch_id, one.token) for one in held)
        lane_keys = [keys.LEASES, keys.RESERVATIONS, keys.IN_FLIGHT]
        return int(self._scripts["adopt"](lane_keys, [self._now(), inbox_id, lease_ms, *pairs]))

    def recheck(self, inbox_id: int, held_until_ms: int | None = None) -> None:
        """Makes the lane due for a check now, after a change of its inbox; ``held_until_ms`` holds it until then."""
        lane_keys = [keys.READY, keys.WAKE, keys.lane(inbox_id), keys.delayed(inbox_id), keys.HELD]
        self._scripts["recheck"](lane_keys, [self._now(), inbox_id, _blank(held_until_ms)])

    def recheck_all(self, held_until_ms: Mapping[int, int]) -> None:
        """Makes every lane due for a check now, when it is unknown which inboxes changed; ``held_until_ms`` has all
        holds."""
        if ended := [one for one in self._client.hkeys(keys.HELD) if int(one) not in held_until_ms]:
            self._client.hdel(keys.HELD, *ended)
        if held_until_ms:
            self._client.hset(keys.HELD, mapping=held_until_ms)
        now_ms = self._now() or _ms(self._client.time())
        waiting = self._client.zrange(keys.READY, 0, -1)
        for inbox_ids in _batches(waiting):
            self._client.zadd(keys.READY, dict.fromkeys(inbox_ids, now_ms), xx=True, lt=True)

    def restore_log(self, inbox_id: int, stamps_ms: Sequence[int]) -> None:
        """Restores the inbox's log of sends (``stamps_ms``, oldest first), unless it has a log."""
        if stamps_ms:
            self._scripts["restore_log"]([keys.log(inbox_id)], stamps_ms)

    def withdraw(self, inbox_id: int, touch_ids: Sequence[str]) -> None:
        """Removes touches from their lane; touches in flight are not affected."""
        pipeline = self._client.pipeline(transaction=False)
        for touch_id in touch_ids:
            pipeline.lrem(keys.lane(inbox_id), 0, touch_id)
        pipeline.zrem(keys.delayed(inbox_id), *touch_ids)
        pipeline.execute()

    def wait_for_wake(self, seconds: float) -> int | None:
        """Blocks until a lane becomes due, at most ``seconds``; returns its inbox id."""
        [woken] = execute(self._client, keys.WAKE, ("BLPOP", keys.WAKE, seconds), wait_seconds=seconds)
        return int(woken[1]) if woken else None

    def mark_initialised(self, newest_token: int) -> None:
        """Marks the queue as complete. No token up to ``newest_token`` is issued again."""
        self._client.set(keys.TOKEN, newest_token, nx=True)
        self._client.set(keys.INITIALISED, 1)

    def retire(self, worker: str) -> None:
        self._client.zrem(keys.WORKERS, worker)

    def _now(self) -> int | str:
        return self._now_ms() if self._now_ms else ""


def _pairs(effective_limits: EffectiveLimits) -> list[int]:
    pairs = [number for limit in effective_limits.limits for number in (limit.count, limit.window_ms)]
    return pairs + [0] * (2 * _LIMITS - len(pairs))


def _reservations(token: int, leased: Sequence[bytes]) -> tuple[Reservation, ...]:
    return tuple(Reservation(touch_id.decode(), int(inbox_id), token) for inbox_id, touch_id in _twos(leased))


def _twos(flat: Sequence[bytes]) -> Iterable[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _batches(items: Sequence[Item]) -> Iterable[Sequence[Item]]:
    return (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))


def _pieces(batches: Iterable[EnqueueBatch]) -> Iterable[EnqueueBatch]:
    """Splits batches that are larger than one call takes."""
    for one in batches:
        yield from (EnqueueBatch(one.inbox_id, ids) for ids in _batches(one.touch_ids))
        yield from (EnqueueBatch(one.inbox_id, (), pairs) for pairs in _batches(one.delayed))


def _grouped(pieces: Iterable[EnqueueBatch]) -> Iterable[list[EnqueueBatch]]:
    """Groups batches that fit into one call."""
    group: list[EnqueueBatch] = []
    size = 0
    for piece in pieces:
        if size + piece.size > _BATCH:
            yield group
            group, size = [], 0
        group.append(piece)
        size += piece.size
    if group:
        yield group


def _ms(server_time: tuple[int, int]) -> int:
    seconds, microseconds = server_time
    return int(seconds) * 1000 + int(microseconds) // 1000


def _blank(number: int | None) -> str | int:
    return "" if number is None else number
