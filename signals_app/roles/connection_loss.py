"""Which Redis errors pass by themselves: a server that restarts, fails over, or is short of memory."""

from redis.exceptions import (
    ClusterDownError,
    ConnectionError,  # noqa: A004 - Redis's own, not the builtin
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    TimeoutError,  # noqa: A004
    TryAgainError,
)

PASSING_ERRORS = (
    ConnectionError, TimeoutError, ReadOnlyError, ClusterDownError, MasterDownError, TryAgainError, OutOfMemoryError,
)  # fmt: skip

_FIRST_SECONDS = 0.1
_LONGEST_SECONDS = 2.0


def back_off_seconds(attempts: int) -> float:
    """0.1 s, 0.2 s, 0.4 s … up to 2 s: short enough to be back within the five seconds a recovery may take."""
    return float(min(_LONGEST_SECONDS, _FIRST_SECONDS * 2 ** min(attempts - 1, 8)))
