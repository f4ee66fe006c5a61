"""Every key of the throttling Redis (alias ``throttling``). The braces put a subject's windows in one cluster slot."""

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
    """Hash: as ``window``, of the conditional requests that were answered without charge."""
    return f"throttle:{{{subject}}}:{window_seconds}:conditional"


def streams(subject: str) -> str:
    """Sorted set: token of each live stream of a subject -> Unix ms at which its lease ends. Lives one lease (45 s)."""
    return f"throttle:{{{subject}}}:streams"


def rejections(hour: int) -> str:
    """Hash: ``<minute>|<tier>`` -> requests rejected in that minute since 1970. Lives 26 h."""
    return f"throttle:refusals:{hour}"


TOTALS = "throttle:totals"
"""Hash: ``allowed|<tier>``, ``refused|<tier>`` and ``degraded`` -> requests so far, for rates. Lives 31 d."""


def busy(slot: int) -> str:
    """Sorted set: ``<tier>|<subject>`` by requests in this slot of five minutes. Lives 15 min."""
    return f"throttle:busy:{slot}"


def rejected(slot: int) -> str:
    """Sorted set: ``<tier>|<subject>`` by requests rejected in this slot of five minutes. Lives 15 min."""
    return f"throttle:refused:{slot}"


def jwks(source: str) -> str:
    """String: the last good key set of one JWKS address (its digest) and when it was fetched, as JSON. Lives 7 d."""
    return f"throttle:{{jwks:{source}}}"


def jwks_lease(source: str) -> str:
    """String: held by the process that may fetch that key set; nobody else does while it lives (30 s)."""
    return f"throttle:{{jwks:{source}}}:lease"
