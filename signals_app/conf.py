"""The signals app's settings: ``settings.SIGNALS`` over these defaults, read when needed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from signals_app.domain.delivery import RetryPolicy

MAX_BLOCK_MS = 14_000
"""Upper limit for the blocking read of a consumer, below the socket timeout."""


@dataclass(frozen=True, slots=True)
class SignalsConf:
    """``handler``, ``changes`` and ``feed_access`` are dotted paths. ``alert_url`` receives alerts as JSON. The caps
    are numbers of entries, ``dead_cap`` of dead letters. ``external_groups`` are consumer groups of programs that send
    no heartbeat. ``feed_clients`` limits the clients of the live feed per process. ``max_deliveries`` and ``retry_*``
    are the retry policy."""

    changes: str
    handler: str = "signals_app.services.handling.book_executions"
    feed_access: str = "signals_app.services.feed_access.unlimited"
    alert_url: str = ""
    soft_cap: int = 50_000
    hard_cap: int = 1_000_000
    dead_cap: int = 100_000
    external_groups: Sequence[str] = ()
    feed_clients: int = 500
    heartbeat_ttl_ms: int = 4_000
    forget_consumer_after_ms: int = 3_600_000
    max_deliveries: int = 5
    retry_base_seconds: float = 0.5
    retry_factor: float = 2.0
    retry_cap_seconds: float = 60.0

    @classmethod
    def load(cls) -> Self:
        """Raises ImproperlyConfigured for an unknown name and for an impossible retry policy."""
        names = {spec.name.upper(): spec.name for spec in fields(cls)}
        given: Mapping[str, object] = settings.SIGNALS
        if unknown := given.keys() - names.keys():
            raise ImproperlyConfigured(
                f"SIGNALS: unknown setting {', '.join(sorted(unknown))}. Known settings: {', '.join(names)}"
            )
        values: dict[str, Any] = {names[name]: value for name, value in given.items()}
        conf = cls(**values)
        try:
            conf.retry_policy()
        except ValueError as error:
            raise ImproperlyConfigured(f"SIGNALS: {error}") from None
        return conf

    def retry_policy(self, max_deliveries: int | None = None) -> RetryPolicy:
        """The policy of the settings, with another limit if ``max_deliveries`` is given. Raises ValueError."""
        limit = self.max_deliveries if max_deliveries is None else max_deliveries
        return RetryPolicy(limit, self.retry_base_seconds, self.retry_factor, self.retry_cap_seconds)
