"""Health of the Redis servers: pings in parallel with a deadline, and the figures of INFO."""

import threading
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django_redis import get_redis_connection
from redis import RedisCluster

from avo_project.redis_client.urls import parse_redis_url


@dataclass(slots=True)
class _Ping:
    """One ping in flight. ``failure`` is its error, empty for none."""

    done: threading.Event = field(default_factory=threading.Event)
    failure: str = ""


class Pinger:
    """Pings servers in parallel with a deadline. A hanging server is pinged by one thread at a time, and a server of
    several aliases once for all of them."""

    def __init__(
        self, ping: Callable[[str], object], server_of: Callable[[str], Hashable] = lambda alias: alias
    ) -> None:
        self._ping = ping
        self._server_of = server_of
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
            if running is not None and not running.done.is_set():
                return running
            ping = self._pings[server] = _Ping()
        threading.Thread(target=self._run, args=(alias, ping), name=f"ping-{alias}", daemon=True).start()
        return ping

    def _run(self, alias: str, ping: _Ping) -> None:
        try:
            self._ping(alias)
        except Exception as failure:  # noqa: BLE001 - returned by ``failures``
            ping.failure = str(failure) or type(failure).__name__
        finally:
            ping.done.set()


def server_of(alias: str) -> Hashable:
    """A value that is equal for aliases on the same server, cluster or Sentinel service, whatever their users."""
    target = parse_redis_url(settings.CACHES[alias]["LOCATION"][0])
    return target.kind, target.hosts, target.path, target.service


def _ping(alias: str) -> None:
    get_redis_connection(alias).ping()


SERVER_PINGER = Pinger(_ping, server_of)
ROLE_PINGER = Pinger(_ping)
"""Pings each role separately, with its own user."""


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
    if isinstance(client, RedisCluster):
        return [client.get_redis_connection(node) for node in client.get_primaries()]  # type: ignore[no-untyped-call]
    return [client]


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
