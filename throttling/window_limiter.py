"""Exact rolling windows in Redis, one round trip a request."""

from collections.abc import Sequence
from typing import Any, Self

from django_redis import get_redis_connection
from redis.exceptions import NoScriptError

from avo_project.lua import read_lua
from throttling import keys
from throttling.records import BUCKETS, Hit, Outcome, Policy, Standing


class WindowLimiter:
    """Checks all policies of a subject together and then charges them together, by the server's clock.

    No subject gets more than its limit in any rolling window. Waiting an outcome's ``wait_ms`` is enough and
    at most one bucket too long. A refused hit costs nothing. Every method may raise RedisError.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._hit = client.register_script(read_lua("throttling", "hit"))
        self._refund = client.register_script(read_lua("throttling", "refund"))

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS))

    def hit(self, hit: Hit, now_ms: int | str = "") -> Outcome:
        """Charges ``hit`` or refuses it. ``now_ms`` replaces the server's clock (Unix ms), for tests."""
        limits: list[int | str] = [hit.cost, BUCKETS, now_ms]
        for policy in hit.policies:
            limits += (policy.limit, policy.bucket_ms, int(policy.shadow))
        reply = self._run(_windows(hit), limits)
        return Outcome(hit, reply[0], tuple(Standing(*reply[i : i + 3]) for i in range(1, len(reply), 3)))

    def peek(self, subject: str, policies: Sequence[Policy], now_ms: int | str = "") -> Outcome:
        """Where ``subject`` stands; charges nothing."""
        return self.hit(Hit(subject, tuple(policies), cost=0), now_ms)

    def refund(self, outcome: Outcome) -> None:
        """Gives back what ``outcome`` charged."""
        units: list[int] = []
        for policy, standing in zip(outcome.hit.policies, outcome.standings, strict=True):
            units += (standing.bucket, policy.units(outcome.hit.cost))
        self._refund(_windows(outcome.hit), units)

    def _run(self, windows: list[str], limits: list[int | str]) -> list[int]:
        """The script by its digest alone: redis-py's own way through a Script costs a tenth of a PING more."""
        try:
            reply: list[int] = self._client.evalsha(self._hit.sha, len(windows), *windows, *limits)
        except NoScriptError:
            reply = self._hit(windows, limits)
        return reply

    def reset(self, subject: str, policies: Sequence[Policy]) -> int:
        """Forgets all charges of ``subject``; returns how many windows had any."""
        return int(self._client.delete(*_windows(Hit(subject, tuple(policies)))))


def _windows(hit: Hit) -> list[str]:
    return [keys.window(hit.subject, policy.window_seconds) for policy in hit.policies]
