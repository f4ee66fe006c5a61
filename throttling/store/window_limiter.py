"""Exact rolling windows in Redis, one round trip per request."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Self

from django_redis import get_redis_connection

from avo_project.redis_client.persistent_connection import run_script
from avo_project.redis_client.scripts import read_lua
from throttling import keys
from throttling.domain.policies import BUCKETS, Hit, Outcome, Policy, WindowStats


class WindowLimiter:
    """Checks and charges all policies of a subject atomically, by the server's clock.

    No subject exceeds its limit in any rolling window. ``wait_ms`` of an outcome is sufficient, and at most one bucket
    too long. Rejected hits and tests are not charged. Every method may raise RedisError.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._hit = client.register_script(read_lua("throttling", "hit"))

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS))

    def hit(self, hit: Hit, now_ms: int | str = "") -> Outcome:
        """Charges ``hit``, or rejects it. ``now_ms`` replaces the server's clock (Unix ms), for tests."""
        windows, limits = _windows(hit.subject, hit.policies), _limits(hit.policies)
        if hit.allowance:
            windows += _conditional_windows(hit.subject, hit.allowance)
            limits += _limits(hit.allowance)
        arguments = (hit.cost, hit.checked_only + 1, BUCKETS, now_ms, *limits)
        wait_ms, *figures = run_script(self._client, self._hit, windows, arguments)
        return Outcome.of(hit, wait_ms, tuple(map(WindowStats, figures[::2], figures[1::2])))

    def test(self, subject: str, policies: Sequence[Policy], now_ms: int | str = "") -> Outcome:
        """Reads the windows of ``subject`` without charging them."""
        return self.hit(Hit(subject, tuple(policies), cost=0, is_test=True), now_ms)

    def reset(self, subject: str, policies: Sequence[Policy]) -> int:
        """Deletes all charges of ``subject``. Returns how many windows had any."""
        return int(self._client.delete(*_windows(subject, policies), *_conditional_windows(subject, policies)))


def _windows(subject: str, policies: Sequence[Policy]) -> tuple[str, ...]:
    return tuple([keys.window(subject, policy.window_seconds) for policy in policies])


def _conditional_windows(subject: str, policies: Sequence[Policy]) -> tuple[str, ...]:
    return tuple([keys.conditional_window(subject, policy.window_seconds) for policy in policies])


@lru_cache(maxsize=1024)
def _limits(policies: tuple[Policy, ...]) -> tuple[int, ...]:
    """The script arguments for ``policies``, cached per tier."""
    return tuple(
        number for policy in policies for number in (policy.limit, policy.bucket_ms, 1 if policy.shadow else 0)
    )
