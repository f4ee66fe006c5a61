"""Transient Redis errors (restart, fail-over, busy, read-only for now) and the back-off while they last."""

from redis.exceptions import (
    ClusterDownError,
    ConnectionError,  # noqa: A004 - Redis's own, not the builtin
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    TimeoutError,  # noqa: A004
    TryAgainError,
)

from avo_project.lib.backoff import exponential_seconds
from signals_app.store.stream import NotReplicatedError

_TRANSIENT = (
    ConnectionError, TimeoutError, ReadOnlyError, ClusterDownError, MasterDownError, TryAgainError, OutOfMemoryError,
    NotReplicatedError,
)  # fmt: skip
_TRANSIENT_CODES = ("MISCONF ", "NOREPLICAS ", "BUSY ")  # redis-py has no class for these

_FIRST_SECONDS = 0.1
_MAX_SECONDS = 2.0


def is_transient(failure: RedisError) -> bool:
    """Whether retrying may help. A full disk, missing replicas or a slow script are resolved elsewhere; a wrong type or
    a missing permission is permanent."""
    return isinstance(failure, _TRANSIENT) or str(failure).startswith(_TRANSIENT_CODES)


def reconnect_delay_seconds(attempts: int) -> float:
    """0.1 s, 0.2 s, 0.4 s … up to 2 s, so that a recovery is noticed within five seconds."""
    return exponential_seconds(attempts, _FIRST_SECONDS, _MAX_SECONDS)
