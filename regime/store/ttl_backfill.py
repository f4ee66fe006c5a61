"""The TTL backfill in Redis: one SCAN over the states, the record of the last run, and the lease of a job."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from django_redis import get_redis_connection
from redis import Redis
from redis.exceptions import ResponseError

from avo_project.redis_client.persistent_connection import Pipeline, Reply, pack
from avo_project.redis_client.scripts import read_lua
from regime import keys
from regime.domain.freshness import LIFE_SECONDS
from regime.store.state_cache import Shards

_LIFE_SECONDS = 7 * 86_400
_SILENT_AFTER_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class BackfillRecord:
    """The figures so far. ``state`` is running, done, stopped or failed; ``noted_at`` is in Unix seconds."""

    state: str
    noted_at: float
    is_dry_run: bool
    figures: Mapping[str, str]

    def is_running(self, now: float) -> bool:
        """Whether it goes on: one that was killed falls silent."""
        return self.state == "running" and now - self.noted_at < _SILENT_AFTER_SECONDS


class BackfillLog:
    """Keeps one note. ``client`` is the Redis of the role ``regime``."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS))

    def note(self, state: str, now: float, is_dry_run: bool, figures: Mapping[str, int | float]) -> None:
        pipeline = self._client.pipeline(transaction=True)
        pipeline.hset(
            keys.BACKFILL, mapping={**figures, "state": state, "noted_at": now, "is_dry_run": int(is_dry_run)}
        )
        pipeline.expire(keys.BACKFILL, _LIFE_SECONDS)
        pipeline.execute()

    def last(self) -> BackfillRecord | None:
        """The last note, None when there was no backfill for a week."""
        held = {name.decode(): value.decode() for name, value in self._client.hgetall(keys.BACKFILL).items()}
        if not held:
            return None
        state, noted_at, is_dry_run = held.pop("state"), float(held.pop("noted_at")), held.pop("is_dry_run") == "1"
        return BackfillRecord(state, noted_at, is_dry_run, held)


_KEYS_A_CALL = 100  # so that not even a large batch holds the server up for a millisecond


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of keys by result, in the order of the replies of backfill_ttl.lua."""

    without_ttl: int = 0
    fixed: int = 0
    expired: int = 0
    capped: int = 0
    already_ok: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))


class TtlSetter:
    """One scan of the states of all servers. ``assumed_age_seconds`` is the age of states of unknown age
    and have no ``computed_at``."""

    def __init__(self, client: Any, dry_run: bool, assumed_age_seconds: float | None, now: float | None = None) -> None:
        self.dry_run = dry_run
        self._shards = Shards(client)
        self._script = client.register_script(read_lua("regime", "backfill_ttl"))
        now_ms = "" if now is None else int(now * 1000)
        assumed_ms = "" if assumed_age_seconds is None else int(assumed_age_seconds * 1000)
        self._arguments = (now_ms, LIFE_SECONDS * 1000, assumed_ms, "1" if dry_run else "0")

    @classmethod
    def connect(cls, dry_run: bool, assumed_age_seconds: float | None) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS), dry_run, assumed_age_seconds)

    def keys_at_most(self) -> int:
        """The number of keys on all servers, an upper bound of the number of states."""
        return sum(int(server.dbsize()) for server in self._shards.all())

    def batches(self, size: int) -> Iterator[tuple[int, Counts]]:
        """Processes about ``size`` keys per iteration; yields how many and the counts by result.

        Raises IncompleteScanError at the end when keys may have been missed.
        """
        with self._shards.scan() as servers:
            for server in servers:
                yield from self._batches_of(server, size)

    def _batches_of(self, server: "Redis", size: int) -> Iterator[tuple[int, Counts]]:
        server.script_load(self._script.script)
        cursor, found = b"", list[bytes]()
        while cursor != b"0":
            scan = pack(b"SCAN", cursor or b"0", b"MATCH", keys.STATE_PATTERN, b"COUNT", size)
            scanned, *replies = self._exchange(server, scan, found)
            if found:
                yield len(found), self._counted(found, replies)
            cursor, found = scanned
        if found:
            yield len(found), self._counted(found, self._exchange(server, b"", found))

    def _exchange(self, server: "Redis", scan: bytes, found: list[bytes]) -> list[Reply]:
        size = self._shards.keys_per_script(_KEYS_A_CALL)
        parts = [found[start : start + size] for start in range(0, len(found), size)]
        calls = [pack("EVALSHA", self._script.sha, len(part), *part, *self._arguments) for part in parts]
        with Pipeline(server) as window:
            window.post(scan + b"".join(calls), bool(scan) + len(calls))
            replies = window.receive()
        if scan and isinstance(replies[0], ResponseError):
            raise replies[0]
        return replies

    def _counted(self, found: list[bytes], replies: list[Reply]) -> Counts:
        total = Counts()
        if any(isinstance(reply, ResponseError) for reply in replies):  # NOSCRIPT, MOVED: again, the slow way
            replies = [self._script(keys=[name], args=self._arguments) for name in found]
        for reply in replies:
            total += Counts(*reply)
        return total


LEASE_SECONDS = 15.0
_JOB_SECONDS = 86_400


class BackfillLease:
    """A job and the lease of the one process that runs it. The lease expires 15 seconds after its last renewal.
    ``client`` is the Redis of the role ``regime``."""

    def __init__(self, client: Any, new_token: Callable[[], str] = lambda: secrets.token_hex(8)) -> None:
        self._token = new_token()
        self._take = client.register_script(read_lua("regime", "take_backfill"))
        self._renew = client.register_script(read_lua("regime", "renew_lease"))
        self._release = client.register_script(read_lua("regime", "release_lease"))

    @classmethod
    def connect(cls) -> Self:
        return cls(get_redis_connection(keys.REDIS_ALIAS))

    def begin(self, job: str) -> bool:
        """Takes the lease for a new job, which replaces an unfinished one; False when another process holds it."""
        return self._taken(job) is not None

    def resume(self) -> str | None:
        """Takes the lease for the unfinished job; None when there is none, or another process holds it."""
        return self._taken("")

    def renew(self) -> bool:
        """Renews the lease; False when it expired and another process may hold it."""
        return bool(self._renew(keys=[keys.BACKFILL_LEASE], args=[self._token, round(LEASE_SECONDS * 1000)]))

    def finish(self) -> None:
        """Deletes the job and the lease, if this process still holds it."""
        self._release(keys=[keys.BACKFILL_LEASE, keys.BACKFILL_JOB], args=[self._token])

    def _taken(self, job: str) -> str | None:
        arguments = [self._token, round(LEASE_SECONDS * 1000), job, _JOB_SECONDS]
        taken = self._take(keys=[keys.BACKFILL_LEASE, keys.BACKFILL_JOB], args=arguments)
        return taken.decode() if taken else None
