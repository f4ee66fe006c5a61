"""Every Redis key of the signals role: role ``signals``, database 0, all in the cluster slot of ``signals:live``."""

REDIS_ALIAS = "signals"

ACL = {
    REDIS_ALIAS: (
        "signals:live {signals:live}:*",
        "eval evalsha exec exists get hdel hexists hget hgetall hset multi script|exists script|load set time "
        "xack xadd xclaim xdel xgroup|create xgroup|createconsumer xgroup|delconsumer xgroup|destroy "
        "xgroup|setid xinfo|consumers xinfo|groups xinfo|stream xlen xpending xrange xread xreadgroup xrevrange "
        "xtrim",
    )
}
"""By alias: the keys and commands that its Redis user needs (``manage.py redis_acl``)."""

LIVE = "signals:live"
"""Stream: the events, newest last."""

DEFAULT_GROUP = "apex-group"
"""Consumer group on ``LIVE`` that books executions; made at 0 by whoever comes first."""

DEAD = "{signals:live}:dead"
"""Stream: events that were given up, with ``dead_reason``, ``dead_source_id``, ``dead_deliveries``, ``dead_at``."""

REPLAY_ENDS = "{signals:live}:replay_ends"
"""Hash: replay group -> the last entry id it is to get."""

PACES = "{signals:live}:paces"
"""Hash: group -> its last two notes of ``<Unix ms> <entries handled>``, older first. From these drain times come."""

MEMBERS = "{signals:live}:members"
"""Hash, read whole at once: ``<group> <consumer>`` -> ``<alive until, Unix ms> <token of the process>``, its heartbeat,
which it takes out when it leaves; and ``<group> <consumer> died`` -> ``<alive until, Unix ms> <entries held> <taken
over, Unix ms> <by consumer>`` of the last process of that name that went silent, once another got its name or entries.
``<group>`` -> ``served``, for a group that ``consume_signals`` works for or has worked for.
"""


def receipt(publisher: str) -> str:
    """String: ``<mark> <entry ids>`` of this publisher's last batch, so that a repeated batch is not added twice.

    TTL ten minutes.
    """
    return f"{{signals:live}}:receipt:{publisher}"


def derived(timeframe: str) -> str:
    """String: ``<mark>`` of the last batch derived for a timeframe: its cycle and last symbol. No TTL."""
    return f"{{signals:live}}:derived:{timeframe}"
