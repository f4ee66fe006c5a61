"""Health of the Redis servers: pings in parallel with a deadline, and the figures of INFO."""

import threading
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django_redis import get_redis_connection

from avo_project import keys
from avo_project.redis_client.cluster import ClusterClient
from avo_project.redis_client.urls import parse_redis_url


@dataclass(slots=True)
class _Ping:
    """One ping in flight. ``failure`` is its error, empty for none."""

    done: threading.Event = field(default_factory=threading.Event)
    failure: str = ""
    ended_at: float = 0.0


class Pinger:
    """Pings servers in parallel with a deadline. A hanging server is pinged by one thread at a time, and a server of
    several aliases once for all of them. An answer is used again for ``keep_seconds``. ``monotonic`` gives seconds."""

    def __init__(
        self,
        ping: Callable[[str], object],
        server_of: Callable[[str], Hashable] = lambda alias: alias,
        keep_seconds: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ping = ping
        self._server_of = server_of
        self._keep_seconds = keep_seconds
        self._monotonic = monotonic
        self._pings: dict[Hashable, _Ping] = {}
        self._lock = threading.Lock()

    def failures(self, aliases: Iterable[str], within_seconds: float) -> dict[str, str]:
        """The error of each alias's server; empty for one that answers."""
        servers = {alias: self._server_of(alias) for alias in aliases}
        pings = {server: self._start(alias, server) for server, alias in {servers[one]: one for one in servers}.items()}
        until = time.monotonic() + within_seconds
        failures = {
            server: one.failure
            if one.done.wait(max(0.0, until - time.monotonic()))
            else f"no answer within {within_seconds:g} s"
            for server, one in pings.items()
        }
        return {alias: failures[server] for alias, server in servers.items()}

    def _start(self, alias: str, server: Hashable) -> _Ping:
        with self._lock:
            running = self._pings.get(server)
            if running is not None and self._is_valid(running):
                return running
            ping = self._pings[server] = _Ping()
        threading.Thread(target=self._run, args=(alias, ping), name=f"ping-{alias}", daemon=True).start()
        return ping

    def _is_valid(self, ping: _Ping) -> bool:
        return not ping.done.is_set() or self._monotonic() - ping.ended_at < self._keep_seconds

    def _run(self, alias: str, ping: _Ping) -> None:
        try:
            self._ping(alias)
        except Exception as failure:  # noqa: BLE001 - returned by ``failures``
            ping.failure = str(failure) or type(failure).__name__
        finally:
            ping.ended_at = self._monotonic()
            ping.done.set()


def server_of(alias: str) -> Hashable:
    """A value that is equal for aliases on the same server, cluster or Sentinel service, whatever their users."""
    target = parse_redis_url(settings.CACHES[alias]["LOCATION"][0])
    return target.kind, target.hosts, target.path, target.service


def _ping(alias: str) -> None:
    get_redis_connection(alias).ping()


def _probe(alias: str) -> None:
    """Raises RedisError when a server of the role does not answer, or refuses to write: read-only, out of memory, disk
    full, too few replicas."""
    client = get_redis_connection(alias)
    if isinstance(client, ClusterClient):
        for server in client.primaries():
            server.ping()
    client.set(keys.PROBES[alias], 1, px=1_000)


SERVER_PINGER = Pinger(_ping, server_of)
ROLE_PINGER = Pinger(_ping)
"""Pings each role separately, with its own user."""
WRITE_PROBER = Pinger(_probe, keep_seconds=1.0)
"""Writes a key of each role, at most once a second."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """Figures of one server, or of a cluster's primaries together. ``maxmemory_bytes`` 0 means no limit."""

    used_bytes: int
    maxmemory_bytes: int
    policies: frozenset[str]
    evicted_keys: int
    appends_everything: bool
    last_writes_worked: bool


def facts_of(alias: str) -> ServerFacts:
    """Reads INFO of the servers of a role. Raises RedisError."""
    return summed([server.info() for server in _servers(get_redis_connection(alias))])


def _servers(client: Any) -> Sequence[Any]:
    return client.primaries() if isinstance(client, ClusterClient) else [client]


def summed(infos: Sequence[Mapping[str, Any]]) -> ServerFacts:
    """The replies of INFO as one record. A missing field counts as healthy."""
    return ServerFacts(
        used_bytes=sum(int(info.get("used_memory", 0)) for info in infos),
        maxmemory_bytes=sum(int(info.get("maxmemory", 0)) for info in infos),
        policies=frozenset(str(info["maxmemory_policy"]) for info in infos if "maxmemory_policy" in info),
        evicted_keys=sum(int(info.get("evicted_keys", 0)) for info in infos),
        appends_everything=all(int(info.get("aof_enabled", 0)) for info in infos),
        last_writes_worked=all(
            info.get(name, "ok") == "ok"
            for info in infos
            for name in ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status")
        ),
    )
