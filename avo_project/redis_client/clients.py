"""The clients of the Redis roles, each with a connection pool of its own."""

import socket
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelManagedConnection, SentinelManagedSSLConnection

from avo_project.redis_client.cluster import ClusterClient
from avo_project.redis_client.pool import GuardedConnection, GuardedPool, GuardedSentinelPool
from avo_project.redis_client.roles import DEFAULT_MAX_CONNECTIONS, RedisRole
from avo_project.redis_client.urls import RedisTarget, parse_redis_url

_Pool = partial[GuardedPool]
_Builder = Callable[[RedisTarget, _Pool, dict[str, Any]], Any]


class RoleConnectionFactory:
    """django-redis connection factory that keeps one client per role and URL for the whole process.

    RESP2 with redis-py's classic reply shapes is pinned here and nowhere else. No client retries automatically:
    a command whose reply was lost may have run, and XADD or a list move must not run twice.
    """

    _clients: dict[tuple[str, str], Any] = {}
    _lock = threading.Lock()

    def __init__(self, options: dict[str, Any]) -> None:
        self._role: RedisRole = options["ROLE"]
        self._data_dir: str | None = options.get("EMBEDDED_DATA_DIR")
        self._max_connections: int = options.get("MAX_CONNECTIONS", DEFAULT_MAX_CONNECTIONS)

    def connect(self, url: str) -> Any:
        key = (self._role.alias, url)
        with self._lock:
            if key not in self._clients:
                target = parse_redis_url(url)
                build = _embedded(self._data_dir) if self._data_dir else _BUILDERS[target.kind]
                guarded = partial(GuardedPool, role=self._role.alias, wait_seconds=self._role.connect_timeout_seconds)
                self._clients[key] = build(target, guarded, self._connection_options(target))
            return self._clients[key]

    def disconnect(self, connection: Any) -> None:
        """Called by django-redis at the end of a request: the pool stays open for the next one."""

    def _connection_options(self, target: RedisTarget) -> dict[str, Any]:
        return {
            "username": target.username,
            "password": target.password,
            "socket_timeout": self._role.socket_timeout_seconds,
            "socket_connect_timeout": self._role.connect_timeout_seconds,
            "client_name": f"avo-{self._role.alias}",
            "protocol": 2,
            "legacy_responses": True,
            "retry": Retry(NoBackoff(), 0),
            "max_connections": self._max_connections,
        }


def _single(target: RedisTarget, pool: _Pool, options: dict[str, Any]) -> Redis:
    [(host, port)] = target.hosts
    connection_class = _TlsConnection if target.tls else _TcpConnection
    options |= {"connection_class": connection_class, "host": host, "port": port, "db": target.database}
    return Redis(connection_pool=pool(**options))


class _TcpConnection(GuardedConnection, Connection):
    pass


class _TlsConnection(GuardedConnection, SSLConnection):
    pass


class _UnixConnection(GuardedConnection, UnixDomainSocketConnection):
    host = "unix socket"  # redis-py 8.1 needs it for the message of a connection timeout


class EmbeddedServerConnection(UnixDomainSocketConnection):
    """A connection to the server of ``data_dir``, which it starts whenever it is not running.

    Connecting fails with EmbeddedServerError, which is a redis ConnectionError, and with nothing else.
    """

    def __init__(self, data_dir: Path | str, **options: Any) -> None:
        from avo_project.embedded_redis.server import EmbeddedServer  # with REDIS_URL no process needs it

        self._server = EmbeddedServer(Path(data_dir))
        super().__init__(**{**options, "path": str(self._server.socket_path)})  # type: ignore[no-untyped-call]

    def _connect(self) -> socket.socket:
        sock = self._server.open_socket(self.socket_connect_timeout)
        sock.settimeout(self.socket_timeout)
        return sock


class _EmbeddedConnection(GuardedConnection, EmbeddedServerConnection):
    host = "unix socket"


class _SentinelConnection(GuardedConnection, SentinelManagedConnection):
    pass


class _SentinelTlsConnection(GuardedConnection, SentinelManagedSSLConnection):
    pass


def _unix(target: RedisTarget, pool: _Pool, options: dict[str, Any]) -> Redis:
    options |= {"connection_class": _UnixConnection, "path": target.path, "db": target.database}
    return Redis(connection_pool=pool(**options))


def _embedded(data_dir: str) -> "_Builder":
    def build(target: RedisTarget, pool: _Pool, options: dict[str, Any]) -> Redis:
        options |= {"connection_class": _EmbeddedConnection, "path": target.path, "data_dir": data_dir}
        return Redis(connection_pool=pool(**options))

    return build


def _sentinel(target: RedisTarget, pool: _Pool, options: dict[str, Any]) -> Redis:
    of_sentinels = options | {
        "username": target.sentinel_username,
        "password": target.sentinel_password,
        "ssl": target.tls,
    }
    del of_sentinels["max_connections"]
    sentinels = Sentinel(list(target.hosts), sentinel_kwargs=of_sentinels)  # type: ignore[no-untyped-call]
    master: Redis = sentinels.master_for(  # type: ignore[no-untyped-call]
        target.service,
        connection_pool_class=partial(GuardedSentinelPool, **pool.keywords),
        connection_class=_SentinelTlsConnection if target.tls else _SentinelConnection,
        db=target.database,
        **options,
    )
    return master


def _cluster(target: RedisTarget, pool: _Pool, options: dict[str, Any]) -> ClusterClient:
    nodes = [ClusterNode(host, port) for host, port in target.hosts]  # type: ignore[no-untyped-call]
    connection_class = _TlsConnection if target.tls else _TcpConnection
    return ClusterClient(startup_nodes=nodes, connection_pool_class=pool, connection_class=connection_class, **options)


_BUILDERS: dict[str, _Builder] = {"single": _single, "unix": _unix, "sentinel": _sentinel, "cluster": _cluster}
