"""The signals part of the settings, read when it is needed."""

from dataclasses import dataclass

from django.conf import settings

from signals_app.keys import REDIS_ALIAS

_BLOCK_MARGIN_MS = 1_000


@dataclass(frozen=True, slots=True)
class SignalsConf:
    """``handler`` and ``changes`` are dotted paths, ``alert_url`` takes alerts as JSON; the caps count entries,
    ``feed_clients`` the clients of the live feed at a time, in each process."""

    handler: str
    changes: str
    alert_url: str = ""
    soft_cap: int = 50_000
    hard_cap: int = 1_000_000
    feed_clients: int = 500
    heartbeat_ttl_ms: int = 4_000
    forget_consumer_after_ms: int = 3_600_000
    socket_timeout_seconds: float = 15.0

    @property
    def max_block_ms(self) -> int:
        """The longest blocking read: the answer must come before the socket gives up on it."""
        return int(self.socket_timeout_seconds * 1000) - _BLOCK_MARGIN_MS


def read_conf() -> SignalsConf:
    """Raises TypeError when settings.SIGNALS has an unknown name."""
    role = settings.CACHES[REDIS_ALIAS]["OPTIONS"]["ROLE"]
    named = {name.lower(): value for name, value in settings.SIGNALS.items()}
    return SignalsConf(socket_timeout_seconds=role.socket_timeout_seconds, **named)
