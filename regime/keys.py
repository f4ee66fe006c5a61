"""Every Redis key of this app, with its type. All live in the role ``regime`` except the cached answers.

The keys named by functions of one version, and their pointer, share the hash tag ``{regime}``, so that one
script may touch them on a cluster too.
"""

REDIS_ALIAS = "regime"
ANSWERS_ALIAS = "default"

ACL = {
    REDIS_ALIAS: (
        "argus:regime:* avo:{regime}:*",
        "dbsize del eval evalsha exec exists expire get hdel hget hgetall hincrby hkeys hlen hmget hset multi pexpire "
        "pexpireat pexpiretime pttl randomkey rename scan script|exists script|load set time type unlink",
    ),
    ANSWERS_ALIAS: ("avo:{macro}:*", "eval evalsha get incrby script|exists script|load set"),
}
"""By alias: the keys and commands that its Redis user needs (``manage.py redis_acl``)."""

_STATE_PREFIX = "argus:regime:"
STATE_PATTERN = "argus:regime:*"


def state_key(symbol: str) -> str:
    """Hash: the state of one symbol, at most 24 h to live. Other programs write it too (docs/keys.md)."""
    return _STATE_PREFIX + symbol


def symbol_of(state_key: bytes) -> bytes:
    """The symbol part of a state key, unchecked."""
    return state_key[len(_STATE_PREFIX) :]


def staged(number: int) -> str:
    """Hash: the fields of a state while they are being written, inside one transaction."""
    return f"avo:{{regime}}:staged:{number}"


# Hash: which collection and which dominance log are valid, and when the last cycle ended.
POINTER = "avo:{regime}:pointer"

# String with expiry: held by the process that builds the collection.
BUILD_LEASE = "avo:{regime}:build-lease"

# Hash: timeframe -> "cycle of the request before,cycle of the last request" of the derivation of signals.
DERIVED = "avo:{regime}:derived"

# Hash with expiry: progress and report of the last TTL backfill.
BACKFILL = "avo:{regime}:backfill"

# String with expiry: the backfill that was started in the admin and is not finished.
BACKFILL_JOB = "avo:{regime}:backfill-job"

# String with expiry: held by the process that runs it.
BACKFILL_LEASE = "avo:{regime}:backfill-lease"


def collection(version: str) -> str:
    """Hash with expiry: the packed columns of one version of the collection."""
    return "avo:{regime}:collection:" + version


def dominance_log(version: str) -> str:
    """Hash with expiry: the packed dominant regimes of the last two cycles of every symbol."""
    return "avo:{regime}:ledger:" + version


# String: counts the loads of macro data; an answer with another number is stale. Role ``default``.
MACRO_GENERATION = "avo:{macro}:generation"


def macro_answer(name: str) -> str:
    """String with expiry: one macro answer behind a line with its age, in format 2; another format gets the next
    number. Role ``default``."""
    return "avo:{macro}:answer:2:" + name


def macro_lease(name: str) -> str:
    """String with expiry: the load for which one process is building the answer ``name``. Role ``default``."""
    return "avo:{macro}:lease:" + name
