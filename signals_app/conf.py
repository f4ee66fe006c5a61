"""The settings of the signals app."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from avo_project.runtime.conf import Conf, setting
from signals_app.domain.delivery import RetryPolicy

MAX_BLOCK_MS = 14_000
"""Upper limit for the blocking read of a consumer, below the socket timeout."""

_RETRY = RetryPolicy()


@dataclass(frozen=True, slots=True)
class SignalsConf(Conf):
    """``handler``, ``changes`` and ``feed_access`` are dotted paths. ``alert_url`` receives alerts as JSON. The caps
    are numbers of entries, ``dead_cap`` of dead letters. ``wait_replicas`` is the number of replicas that must have a
    batch before it counts as published. ``external_groups`` are consumer groups of programs that send no heartbeat.
    ``feed_clients`` limits the clients of the live feed per process. ``max_deliveries`` and ``retry_*`` are the retry
    policy."""

    NAME = "SIGNALS"

    changes: str
    handler: str = "signals_app.services.handling.book_executions"
    feed_access: str = "signals_app.services.feed_access.unlimited"
    alert_url: str = ""
    soft_cap: int = 50_000
    hard_cap: int = 1_000_000
    dead_cap: int = 100_000
    wait_replicas: int = setting(0, at_least=0)
    external_groups: Sequence[str] = ()
    feed_clients: int = setting(500, at_least=0)
    heartbeat_ttl_ms: int = 4_000
    forget_consumer_after_ms: int = 3_600_000
    max_deliveries: int = _RETRY.max_deliveries
    retry_base_seconds: float = _RETRY.base_seconds
    retry_factor: float = _RETRY.factor
    retry_cap_seconds: float = _RETRY.cap_seconds

    def problems(self) -> Iterator[str]:
        try:
            self.retry_policy()
        except ValueError as error:
            yield f"{self.NAME}: {error}"

    def retry_policy(self, max_deliveries: int | None = None) -> RetryPolicy:
        """The policy of the settings, with another limit if ``max_deliveries`` is given. Raises ValueError."""
        limit = self.max_deliveries if max_deliveries is None else max_deliveries
        return RetryPolicy(limit, self.retry_base_seconds, self.retry_factor, self.retry_cap_seconds)
