"""Exact rolling windows in Redis, one round trip a request."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Self

from django_redis import get_redis_connection

from avo_project.redis_client.persistent_connection import run_script
from avo_project.redis_client.scripts import read_lua
from throttling import keys
from throttling.domain.policies import BUCKETS, Hit, Outcome, Policy, WindowStats


class WindowLimiter:
    """Checks all policies of a subject together and then charges them together, by the server's clock.

    No subject gets more than its limit in any rolling window. Waiting an outcome's ``wait_ms`` is enough and
    at most one bucket too long. A rejected hit costs nothing, and so does a look. Every method may raise RedisError.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._hit = client.register_script(read_lua("throttling", "hit"))

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS))

    def hit(self, hit: Hit, now_ms: int | str = "") -> Outcome:
        """Charges ``hit`` or rejects it. ``now_ms`` replaces the server's clock (Unix ms), for tests."""
        windows, limits = _windows(hit.subject, hit.policies), _limits(hit.policies)
        if hit.allowance:
            windows += _conditional_windows(hit.subject, hit.allowance)
            limits += _limits(hit.allowance)
        arguments = (hit.cost, hit.checked_only + 1, BUCKETS, now_ms, *limits)
        wait_ms, *figures = run_script(self._client, self._hit, windows, arguments)
        return Outcome.of(hit, wait_ms, tuple(map(WindowStats, figures[::2], figures[1::2])))

    def test(self, subject: str, policies: Sequence[Policy], now_ms: int | str = "") -> Outcome:
        """Where ``subject`` stands; charges nothing."""
        return self.hit(Hit(subject, tuple(policies), cost=0, is_test=True), now_ms)

    def reset(self, subject: str, policies: Sequence[Policy]) -> int:
        """Forgets all charges of ``subject``; returns how many windows had any."""
        return int(self._client.delete(*_windows(subject, policies), *_conditional_windows(subject, policies)))


def _windows(subject: str, policies: Sequence[Policy]) -> tuple[str, ...]:
    return tuple([keys.window(subject, policy.window_seconds) for policy in policies])


def _conditional_windows(subject: str, policies: Sequence[Policy]) -> tuple[str, ...]:
    return tuple([keys.conditional_window(subject, policy.window_seconds) for policy in policies])


@lru_cache(maxsize=1024)
def _limits(policies: tuple[Policy, ...]) -> tuple[int, ...]:
    """The script's arguments for ``policies``: the same for all of a tier's callers."""
    return tuple(
        number for policy in policies for number in (policy.limit, policy.bucket_ms, 1 if policy.shadow else 0)
    )
