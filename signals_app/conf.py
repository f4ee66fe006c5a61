"""The signals part of the settings, read when it is needed."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings

MAX_BLOCK_MS = 14_000
"""The longest blocking read of a consumer."""


@dataclass(frozen=True, slots=True)
class SignalsConf:
    """``handler``, ``changes`` and ``feed_access`` are dotted paths, ``alert_url`` takes alerts as JSON; the caps count
    entries, ``dead_cap`` dead letters; ``external_groups`` are read by programs that do not send our heartbeat,
    ``feed_clients`` are the clients of the live feed at a time, in each process; ``feed_access`` gives a client its
    place among those of its account."""

    handler: str
    changes: str
    feed_access: str = "signals_app.services.feed_access.unlimited"
    alert_url: str = ""
    soft_cap: int = 50_000
    hard_cap: int = 1_000_000
    dead_cap: int = 100_000
    external_groups: Sequence[str] = ()
    feed_clients: int = 500
    heartbeat_ttl_ms: int = 4_000
    forget_consumer_after_ms: int = 3_600_000


def read_conf() -> SignalsConf:
    """Raises TypeError when settings.SIGNALS has an unknown name."""
    named = {name.lower(): value for name, value in settings.SIGNALS.items()}
    return SignalsConf(**named)
