"""Exponential back-off: retries of a touch over days, and holds of an inbox that keeps failing."""

from collections.abc import Callable
from dataclasses import dataclass

from avo_project.lib.backoff import exponential_seconds
from outreach.domain.reservation import HoldReason

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


@dataclass(frozen=True, slots=True)
class HoldPolicy:
    """How long a lane is held when the server names no time; doubles with each hold without a send in between.

    ``failures`` in a row hold the lane for the reason ``server``, first for ``server_base_seconds``: asking a server
    that was away again costs little. All other reasons begin with ``base_seconds``.
    """

    failures: int = 5
    base_seconds: float = 3_600.0
    cap_seconds: float = 86_400.0
    server_base_seconds: float = 30.0
    server_cap_seconds: float = 3_600.0

    def hold_seconds(self, reason: HoldReason, number: int, named_seconds: float | None) -> float:
        """The length of hold ``number`` (1 or more), unless the server ``named`` one; at most a day."""
        if named_seconds:
            return min(named_seconds, _LONGEST_RETRY_AFTER_SECONDS)
        if reason == "server":
            return exponential_seconds(number, self.server_base_seconds, self.server_cap_seconds)
        return exponential_seconds(number, self.base_seconds, self.cap_seconds)
