"""When a touch that failed for now is tried again: exponential back-off with full jitter, then no more."""

from collections.abc import Callable
from dataclasses import dataclass

from avo_project.lib.backoff import exponential_seconds

_LONGEST_RETRY_AFTER_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """``retries`` more tries; before the n-th up to ``base_seconds * factor ** (n - 1)``, at most ``cap_seconds``."""

    retries: int = 5
    base_seconds: float = 15.0
    factor: float = 4.0
    cap_seconds: float = 14_400.0


def retry_delay_seconds(
    policy: RetryPolicy, failures: int, random: Callable[[], float], retry_after_seconds: float | None = None
) -> float | None:
    """Seconds until the next try after ``failures`` (1 or more) failed ones, or None: give up.

    Full jitter (a uniform draw from 0 to the back-off) keeps touches that failed together from coming back
    together; see M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015. ``random`` gives
    0..1. A server that named a time in Retry-After is not asked before it.
    """
    if failures > policy.retries:
        return None
    ceiling = exponential_seconds(failures, policy.base_seconds, policy.cap_seconds, policy.factor)
    requested = min(retry_after_seconds or 0.0, _LONGEST_RETRY_AFTER_SECONDS)
    return max(requested, ceiling * random())
