"""Usage statistics in Redis: rejections per tier and minute, totals, and the busiest subjects."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from django_redis import get_redis_connection

from throttling import keys

_SLOT_SECONDS = 300
_KEPT_SUBJECTS = 1_000
_TOTALS_SECONDS = 31 * 86_400


@dataclass(frozen=True, slots=True)
class Busy:
    """The requests of a subject in the last five to ten minutes: all of them, or those rejected."""

    subject: str
    tier: str
    requests: int


class UsageStats:
    """Writes and reads the shared statistics. Every method may raise RedisError; ``now`` is in Unix seconds."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS))

    def add(
        self,
        requests: Mapping[tuple[str, str], int],
        rejections: Mapping[tuple[str, str], int],
        now: float,
        degraded: int = 0,
    ) -> None:
        """Adds ``requests`` and the ``rejections`` among them, by (tier, subject). ``degraded`` counts earlier requests
        that could not be written."""
        slot, rejected = int(now // _SLOT_SECONDS), _by_tier(rejections)
        with self._client.pipeline(transaction=False) as pipe:
            for field, count in _totals(_by_tier(requests), rejected, degraded).items():
                pipe.hincrby(keys.TOTALS, field, count)
            pipe.expire(keys.TOTALS, _TOTALS_SECONDS)
            for key, counts in ((keys.busy(slot), requests), (keys.rejected(slot), rejections)):
                if counts:
                    _count_subjects(pipe, key, counts)
            if rejected:
                hour = keys.rejections(int(now // 3600))
                for tier, count in rejected.items():
                    pipe.hincrby(hour, f"{int(now // 60)}|{tier}", count)
                pipe.expire(hour, 26 * 3600)
            pipe.execute()

    def totals(self) -> dict[str, int]:
        """``allowed|<tier>``, ``refused|<tier>`` and ``degraded``."""
        return {field.decode(): int(count) for field, count in self._client.hgetall(keys.TOTALS).items()}

    def rejections(self, now: float, minutes: int = 60) -> dict[str, list[int]]:
        """Rejections per tier in each of the last ``minutes``, oldest first."""
        last = int(now // 60)
        hours = range((last - minutes + 1) // 60, last // 60 + 1)
        with self._client.pipeline(transaction=False) as pipe:
            for hour in hours:
                pipe.hgetall(keys.rejections(hour))
            replies = pipe.execute()
        series: dict[str, list[int]] = {}
        for field, count in (item for reply in replies for item in reply.items()):
            minute, _, tier = field.decode().partition("|")
            place = minutes - 1 - (last - int(minute))
            if place >= 0:
                series.setdefault(tier, [0] * minutes)[place] += int(count)
        return dict(sorted(series.items()))

    def busiest(self, now: float, count: int = 20) -> list[Busy]:
        """The subjects with the most requests, in descending order; rejected requests count."""
        return self._most(keys.busy, now, count)

    def most_rejected(self, now: float, count: int = 20) -> list[Busy]:
        """The subjects with the most rejected requests, in descending order."""
        return self._most(keys.rejected, now, count)

    def _most(self, key_of: Callable[[int], str], now: float, count: int) -> list[Busy]:
        slot = int(now // _SLOT_SECONDS)
        with self._client.pipeline(transaction=False) as pipe:
            for key in (key_of(slot - 1), key_of(slot)):
                pipe.zrevrange(key, 0, _KEPT_SUBJECTS, withscores=True)
            replies = pipe.execute()
        totals: dict[bytes, int] = {}
        for member, score in (item for reply in replies for item in reply):
            totals[member] = totals.get(member, 0) + int(score)
        top = sorted(totals.items(), key=lambda item: -item[1])[:count]
        return [_busy(member.decode(), requests) for member, requests in top]

    def seen_tier(self, subject: str, tiers: list[str], now: float) -> str | None:
        """The tier of ``subject`` in the last five to ten minutes, or None without requests."""
        slot = int(now // _SLOT_SECONDS)
        members = [f"{tier}|{subject}" for tier in tiers]
        with self._client.pipeline(transaction=False) as pipe:
            for key in (keys.busy(slot), keys.busy(slot - 1)):
                for member in members:
                    pipe.zscore(key, member)
            scores = pipe.execute()
        return next((tier for tier, score in zip(tiers * 2, scores, strict=True) if score is not None), None)


def _count_subjects(pipe: Any, key: str, counts: Mapping[tuple[str, str], int]) -> None:
    for (tier, subject), count in counts.items():
        pipe.zincrby(key, count, f"{tier}|{subject}")
    pipe.zremrangebyrank(key, 0, -_KEPT_SUBJECTS - 1)
    pipe.expire(key, 3 * _SLOT_SECONDS)


def _by_tier(counts: Mapping[tuple[str, str], int]) -> Counter[str]:
    summed: Counter[str] = Counter()
    for (tier, _), count in counts.items():
        summed[tier] += count
    return summed


def _totals(requests: Counter[str], rejections: Counter[str], degraded: int) -> Mapping[str, int]:
    totals = Counter({f"refused|{tier}": count for tier, count in rejections.items()})
    totals.update({f"allowed|{tier}": count for tier, count in requests.items()})
    for tier, count in rejections.items():
        totals[f"allowed|{tier}"] -= count
    totals["degraded"] = degraded
    return {field: count for field, count in totals.items() if count > 0}


def _busy(member: str, requests: int) -> Busy:
    tier, _, subject = member.partition("|")
    return Busy(subject, tier, requests)
