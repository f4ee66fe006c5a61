"""Exponential back-off: retries of a touch over days, and the cooldown of an inbox that keeps failing."""

from collections.abc import Callable
from dataclasses import dataclass, field

from avo_project.lib.backoff import exponential_seconds

_LONGEST_RETRY_AFTER_SECONDS = 86_400.0
_JITTER = 0.25


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Up to ``retries`` retries; the n-th ``base_seconds * factor ** (n - 1)`` after the last attempt, capped.

    The defaults retry for four days (RFC 5321, 4.5.4.1), first after five minutes, at which greylisting servers
    accept a repetition (RFC 6647, 4.4).
    """

    retries: int = 30
    base_seconds: float = 300.0
    factor: float = 2.0
    cap_seconds: float = 14_400.0


def retry_delay_seconds(
    policy: RetryPolicy, failures: int, random: Callable[[], float], retry_after_seconds: float | None = None
) -> float | None:
    """Seconds until the next attempt after ``failures`` (1 or more) failed ones, or None: give up.

    The back-off and ``retry_after_seconds`` (what the server named, capped at a day) are lower bounds. Up to a quarter
    of the back-off is added (``random`` returns 0..1), so that touches that failed together are not retried together:
    M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """
    if failures > policy.retries:
        return None
    back_off = exponential_seconds(failures, policy.base_seconds, policy.cap_seconds, policy.factor)
    requested = min(retry_after_seconds or 0.0, _LONGEST_RETRY_AFTER_SECONDS)
    return max(requested, back_off) + back_off * _JITTER * random()


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
