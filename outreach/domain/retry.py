"""Exponential back-off: retries of a touch with full jitter, and the cooldown of an inbox that keeps failing."""

from collections.abc import Callable
from dataclasses import dataclass, field

from avo_project.lib.backoff import exponential_seconds

_LONGEST_RETRY_AFTER_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Up to ``retries`` retries; the n-th after at most ``base_seconds * factor ** (n - 1)``, capped."""

    retries: int = 5
    base_seconds: float = 15.0
    factor: float = 4.0
    cap_seconds: float = 14_400.0


def retry_delay_seconds(
    policy: RetryPolicy, failures: int, random: Callable[[], float], retry_after_seconds: float | None = None
) -> float | None:
    """Seconds until the next attempt after ``failures`` (1 or more) failed ones, or None: give up.

    Full jitter (uniform from 0 to the back-off; ``random`` returns 0..1) keeps touches that failed together from being
    retried together: M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015. ``retry_after_seconds``
    (Retry-After, capped at a day) is a lower bound.
    """
    if failures > policy.retries:
        return None
    ceiling = exponential_seconds(failures, policy.base_seconds, policy.cap_seconds, policy.factor)
    requested = min(retry_after_seconds or 0.0, _LONGEST_RETRY_AFTER_SECONDS)
    return max(requested, ceiling * random())


@dataclass(slots=True)
class InboxCooldown:
    """Holds an inbox after ``failures`` in a row, for ``base_seconds``, doubling up to ``cap_seconds``.

    Each worker counts failures on its own; the hold applies to all workers.
    """

    failures: int
    base_seconds: float
    cap_seconds: float
    _consecutive: dict[int, int] = field(default_factory=dict)

    def cooldown_seconds(self, inbox_id: int, *, failed: bool) -> float | None:
        """Counts one result. Returns how long to hold the inbox, or None."""
        if not failed:
            self._consecutive.pop(inbox_id, None)
            return None
        count = self._consecutive[inbox_id] = self._consecutive.get(inbox_id, 0) + 1
        if count < self.failures:
            return None
        return exponential_seconds(count - self.failures + 1, self.base_seconds, self.cap_seconds)
