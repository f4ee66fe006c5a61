"""Leases of live streams in Redis: one per stream."""

from dataclasses import dataclass
from typing import Any, Self

from django_redis import get_redis_connection

from avo_project.redis_client.persistent_connection import run_script
from avo_project.redis_client.scripts import read_lua
from throttling import keys

LEASE_MS = 45_000


@dataclass(frozen=True, slots=True)
class Lease:
    """The result of an attempt to hold a lease. ``first_ends_ms`` is the time until the first lease of the subject
    ends."""

    held: bool
    used: int
    first_ends_ms: int


class StreamLeases:
    """Leases of 45 s by the server's clock. Leases of a dead process expire. Every method may raise RedisError."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._hold = client.register_script(read_lua("throttling", "hold_lease"))

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS))

    def hold(self, subject: str, token: str, places: int, now_ms: int | str = "") -> Lease:
        """Acquires one of ``places``, or renews its lease. ``now_ms`` replaces the server's clock (Unix ms), for
        tests."""
        arguments = (token, places, LEASE_MS, now_ms)
        held, used, first_ends_ms = run_script(self._client, self._hold, (keys.streams(subject),), arguments)
        return Lease(bool(held), used, first_ends_ms)

    def release(self, subject: str, token: str) -> None:
        self._client.zrem(keys.streams(subject), token)
