"""Every Redis key of the signals role: role ``signals``, database 0, all in the cluster slot of ``signals:live``."""

REDIS_ALIAS = "signals"

ACL = {
    REDIS_ALIAS: (
        "signals:live {signals:live}:*",
        "eval evalsha exec exists get hdel hexists hget hgetall hset multi script|exists script|load set time wait "
        "xack xadd xclaim xdel xgroup|create xgroup|createconsumer xgroup|delconsumer xgroup|destroy "
        "xgroup|setid xinfo|consumers xinfo|groups xinfo|stream xlen xpending xrange xread xreadgroup xrevrange "
        "xtrim",
    )
}
"""By alias: the keys and commands that its Redis user needs (``manage.py redis_acl``)."""

LIVE = "signals:live"
"""Stream: the events, newest last."""

DEFAULT_GROUP = "apex-group"
"""Consumer group on ``LIVE`` that inserts executions; created at 0 by the first publisher or consumer."""

DEAD = "{signals:live}:dead"
"""Stream: dead-lettered events, with ``dead_reason``, ``dead_source_id``, ``dead_deliveries``, ``dead_at``."""

REPLICATED = "{signals:live}:replicated"
"""String, TTL one minute: written after a batch that replicas must have, because WAIT waits for the connection's last
write, and a repeated batch writes nothing."""

REPLAY_ENDS = "{signals:live}:replay_ends"
"""Hash: replay group -> last entry id of its range."""

PACES = "{signals:live}:paces"
"""Hash: group -> its last two samples of ``<Unix ms> <entries handled>``, older first, for the drain rate."""

MEMBERS = "{signals:live}:members"
"""Hash, always read as a whole. ``<group> <consumer>`` -> ``<alive until, Unix ms> <token of the process>``: heartbeat,
removed on shutdown. ``<group> <consumer> died`` -> ``<alive until, Unix ms> <entries held> <taken over, Unix ms> <by
consumer>``: the last expired process of that name, once another has its name or entries. ``<group>`` -> ``served``: a
group that ``consume_signals`` serves or has served.
"""


def receipt(publisher: str) -> str:
    """String, TTL ten minutes: ``<checkpoint> <entry ids>`` of the last batch, so that a repeated batch is not added
    twice."""
    return f"{{signals:live}}:receipt:{publisher}"


def derived(timeframe: str) -> str:
    """String: ``<checkpoint>`` of the last batch derived for a timeframe: its cycle and last symbol. No TTL."""
    return f"{{signals:live}}:derived:{timeframe}"
