"""Every Redis key of outreach. All share one hash tag, and so one cluster slot, because scripts touch several."""

REDIS_ALIAS = "outreach"

ACL = {
    REDIS_ALIAS: (
        "{outreach}:*",
        "blpop eval evalsha exec exists get hdel hget hincrby hkeys hlen hmget hset hsetnx lindex llen lpop lpos "
        "lpush lrange lrem ltrim multi pexpire rpush sadd script|exists script|load set srem time zadd zcard "
        "zcount zmscore zrange zrangebyscore zrem zremrangebyscore zscore",
    )
}
"""By alias: the keys and commands that its Redis user needs (``manage.py redis_acl``)."""

READY = "{outreach}:ready"
"""ZSET, role outreach: inbox id, scored by the server time in ms at which its lane is due."""

LEASES = "{outreach}:leases"
"""ZSET, role outreach: touch id, scored by the server time in ms at which its lease ends. No TTL."""

RESERVATIONS = "{outreach}:reservations"
"""HASH, role outreach: touch id to ``token|inbox id|worker``, for every touch in flight. No TTL."""

TOKEN = "{outreach}:token"  # noqa: S105 - a counter
"""STRING, role outreach: the last fence token issued."""

WAKE = "{outreach}:wake"
"""LIST, role outreach: inbox ids; an idle worker blocks on it. Holds at most one."""

INITIALISED = "{outreach}:intact"
"""STRING, role outreach: set once the queue was compared with the ledger; missing after Redis lost its data."""

WORKERS = "{outreach}:workers"
"""ZSET, role outreach: worker name, scored by the server time in ms of its last heartbeat."""

IN_FLIGHT = "{outreach}:in_flight"
"""HASH, role outreach: inbox id to the number of its touches in flight; they count as sent."""

HELD = "{outreach}:held"
"""HASH, role outreach: inbox id to the server time in ms until which the inbox is held; a copy of the ledger's."""

FULL = "{outreach}:full"
"""SET, role outreach: inbox ids that are at a limit until a touch in flight is settled."""


def lane(inbox_id: int) -> str:
    """LIST, role outreach: ids of the touches to send as soon as the inbox's limits allow, oldest first."""
    return f"{{outreach}}:lane:{inbox_id}"


def delayed(inbox_id: int) -> str:
    """ZSET, role outreach: ids of touches that are due later, scored by their due time in ms."""
    return f"{{outreach}}:delayed:{inbox_id}"


def log(inbox_id: int) -> str:
    """LIST, role outreach: server times in ms of the last day's sends, oldest first. TTL: a day after the last."""
    return f"{{outreach}}:log:{inbox_id}"
