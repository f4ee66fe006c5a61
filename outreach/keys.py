"""Every Redis key of outreach. One hash tag holds them all in one cluster slot, because one script touches several."""

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
"""ZSET, role outreach: inbox id, scored by the server time in ms at which its lane is worth a look."""

LEASES = "{outreach}:leases"
"""ZSET, role outreach: touch id, scored by the server time in ms at which its lease ends. No TTL."""

RESERVATIONS = "{outreach}:reservations"
"""HASH, role outreach: touch id to ``token|inbox id|worker``, for every touch in a worker's hands. No TTL."""

TOKEN = "{outreach}:token"  # noqa: S105 - a counter
"""STRING, role outreach: the last fence token given out."""

WAKE = "{outreach}:wake"
"""LIST, role outreach: inbox ids; an idle worker blocks on it. Holds at most one."""

INITIALISED = "{outreach}:intact"
"""STRING, role outreach: set when the queue was last compared with the ledger; gone when Redis lost its data."""

WORKERS = "{outreach}:workers"
"""ZSET, role outreach: worker name, scored by the server time in ms of its last heartbeat."""

IN_FLIGHT = "{outreach}:in_flight"
"""HASH, role outreach: inbox id to the number of its touches in workers' hands; they count as sent."""

HELD = "{outreach}:held"
"""HASH, role outreach: inbox id to the server time in ms before which nothing leaves it (circuit breaker)."""

FULL = "{outreach}:full"
"""SET, role outreach: inbox ids whose next moment depends on when what is in flight is settled."""


def lane(inbox_id: int) -> str:
    """LIST, role outreach: ids of the touches that may go as soon as the inbox may, oldest first."""
    return f"{{outreach}}:lane:{inbox_id}"


def delayed(inbox_id: int) -> str:
    """ZSET, role outreach: ids of touches that wait for their own moment, scored by it in ms."""
    return f"{{outreach}}:delayed:{inbox_id}"


def log(inbox_id: int) -> str:
    """LIST, role outreach: server times in ms of the sends of the last day, oldest first. TTL: a day after the last."""
    return f"{{outreach}}:log:{inbox_id}"
