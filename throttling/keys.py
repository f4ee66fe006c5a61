"""Keys of the throttling Redis (alias ``throttling``). The hash tag keeps a subject's windows in one cluster slot."""

REDIS_ALIAS = "throttling"

ACL = {
    REDIS_ALIAS: (
        "throttle:*",
        "del eval evalsha exec expire get hdel hget hgetall hincrby hset multi pexpire script|exists script|load "
        "set time zadd zcard zincrby zrange zrangebyscore zrem zremrangebyrank zremrangebyscore zrevrange zscore",
    )
}
"""By alias: the keys and commands that its Redis user needs (``manage.py redis_acl``)."""


def window(subject: str, window_seconds: int) -> str:
    """Hash: bucket number -> units charged in it, and `state` (lua/hit.lua). Lives one window and one bucket longer."""
    return f"throttle:{{{subject}}}:{window_seconds}"


def conditional_window(subject: str, window_seconds: int) -> str:
    """Hash: as ``window``, for conditional requests that were not charged."""
    return f"throttle:{{{subject}}}:{window_seconds}:conditional"


def streams(subject: str) -> str:
    """Sorted set: token of a subject's live stream -> end of its lease in Unix ms. Lives one lease (45 s)."""
    return f"throttle:{{{subject}}}:streams"


def rejections(hour: int) -> str:
    """Hash: ``<minute>|<tier>`` -> requests rejected in that minute (Unix time / 60). Lives 26 h."""
    return f"throttle:refusals:{hour}"


TOTALS = "throttle:totals"
"""Hash: ``allowed|<tier>``, ``refused|<tier>`` and ``degraded`` -> total requests. Lives 31 d."""


def busy(slot: int) -> str:
    """Sorted set: ``<tier>|<subject>``, scored by requests in this slot of five minutes. Lives 15 min."""
    return f"throttle:busy:{slot}"


def rejected(slot: int) -> str:
    """Sorted set: ``<tier>|<subject>``, scored by requests rejected in this slot of five minutes. Lives 15 min."""
    return f"throttle:refused:{slot}"


def jwks(source: str) -> str:
    """String: JSON of the last valid key set of a JWKS URL (given by its digest) and its fetch time. Lives 7 d."""
    return f"throttle:{{jwks:{source}}}"


def jwks_lease(source: str) -> str:
    """String: lease of the process that fetches that key set. Lives 30 s."""
    return f"throttle:{{jwks:{source}}}:lease"
