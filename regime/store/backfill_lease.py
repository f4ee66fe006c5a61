"""Which backfill was asked for in the admin and is not finished, and who does it."""

import secrets
from collections.abc import Callable
from typing import Any, Self

from django_redis import get_redis_connection

from avo_project.redis_client.scripts import read_lua
from regime import keys

LEASE_SECONDS = 15.0
_JOB_SECONDS = 86_400


class BackfillLease:
    """A job and the lease of the one process that does it, which outlives a process that died by 15 seconds.
    ``client`` is the Redis of the role ``regime``."""

    def __init__(self, client: Any, new_token: Callable[[], str] = lambda: secrets.token_hex(8)) -> None:
        self._token = new_token()
        self._take = client.register_script(read_lua("regime", "take_backfill"))
        self._renew = client.register_script(read_lua("regime", "renew_lease"))
        self._finish = client.register_script(read_lua("regime", "finish_backfill"))

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS))

    def begin(self, job: str) -> bool:
        """Takes the lease for a new job, in the place of one that nobody finished; False when another has it."""
        return self._taken(job) is not None

    def resume(self) -> str | None:
        """Takes the lease for the job that nobody finished; None when there is none, or another has it."""
        return self._taken("")

    def renew(self) -> bool:
        """Holds the lease for longer; False when it ran out, and the job may be another's."""
        return bool(self._renew(keys=[keys.BACKFILL_LEASE], args=[self._token, round(LEASE_SECONDS * 1000)]))

    def finish(self) -> None:
        """The job is done, if it is still this one's."""
        self._finish(keys=[keys.BACKFILL_LEASE, keys.BACKFILL_JOB], args=[self._token])

    def _taken(self, job: str) -> str | None:
        arguments = [self._token, round(LEASE_SECONDS * 1000), job, _JOB_SECONDS]
        taken = self._take(keys=[keys.BACKFILL_LEASE, keys.BACKFILL_JOB], args=arguments)
        return taken.decode() if taken else None
