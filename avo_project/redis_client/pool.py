"""Connection pools with a maximum size, behind the circuit breaker of their server.

Every call to Redis uses them, hand-packed or by redis-py, to one server, a Sentinel's primary or a node of a cluster.
"""

import contextlib
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

from redis.connection import AbstractConnection, ConnectionPool
from redis.exceptions import AuthenticationError, BusyLoadingError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.sentinel import SentinelConnectionPool

from avo_project.redis_client.circuit import CallRejectedError, Circuit, CircuitOpenError, call_rejected, circuit_of

_ANSWERS = (AuthenticationError, BusyLoadingError)  # redis-py raises them as connection errors
_TRUSTED_SECONDS = 0.1  # no server closes an idle connection that soon


class PoolExhaustedError(CallRejectedError):
    """All connections of the pool are in use, and none was released in time."""


class GuardedConnection(AbstractConnection):
    """Mixin of redis-py's connection classes: checks the circuit before it sends, and reports successes and timeouts to
    it. An error reply is a success. ``on_failure`` is called when the server fails or is no primary any more."""

    idle_since = 0.0

    def __init__(self, *, circuit: Circuit, on_failure: Callable[[], None], **options: Any) -> None:
        self._circuit = circuit
        self._on_failure = on_failure
        self._breaker = circuit.breaker
        self._is_probe = self._is_connecting = False
        super().__init__(**options)

    def connect(self) -> None:
        if not self.is_connected:
            with self._connecting():
                super().connect()  # type: ignore[no-untyped-call]

    def connect_check_health(self, *arguments: Any, **options: Any) -> None:
        if not self.is_connected:
            with self._connecting():
                super().connect_check_health(*arguments, **options)

    @contextlib.contextmanager
    def _connecting(self) -> Any:
        if self._is_connecting:
            yield
            return
        self._admit()
        self._is_connecting = True
        try:
            yield
        except _ANSWERS:
            raise
        except (RedisConnectionError, RedisTimeoutError) as failure:
            self._failed(failure)
            raise
        finally:
            self._is_connecting = False

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        if self._breaker.is_open and not self._is_probe and self.is_connected:
            self._admit()
        try:
            super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]
        except RedisTimeoutError as failure:
            self._failed(failure)
            raise
        except RedisConnectionError:
            self._on_failure()
            raise

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            reply = super().read_response(*arguments, **options)
        except RedisTimeoutError as failure:
            self._failed(failure)
            raise
        except ResponseError as error:
            self._answered()
            if isinstance(error, ReadOnlyError):
                self.leave_replica()
            raise
        except _ANSWERS:
            raise
        except RedisConnectionError:
            self._on_failure()
            raise
        if self._breaker.is_open:
            self._answered()
        return reply

    def read_replies(self, count: int, wait_seconds: float = 0.0) -> list[Any]:
        """The next ``count`` replies, including error replies; ``wait_seconds`` are added to the socket timeout. Raises
        ConnectionError or TimeoutError, after which the caller must disconnect.

        redis-py's ``read_response`` takes 0.7 µs a reply, of which its parser takes 0.5.
        """
        read = self._parser.read_response
        try:
            if wait_seconds and self.socket_timeout:
                replies = [read(timeout=wait_seconds + self.socket_timeout) for _ in range(count)]
            else:
                replies = [read() for _ in range(count)]
        except RedisTimeoutError as failure:
            self._failed(failure)
            raise
        except RedisConnectionError:
            self._on_failure()
            raise
        except OSError as error:
            self._on_failure()
            raise RedisConnectionError(f"The reply of Redis cannot be read: {error}") from error
        if self._breaker.is_open:
            self._answered()
        return replies

    def leave_replica(self) -> None:
        """Disconnects from a server that is no primary any more: its address may belong to another one by now."""
        self.disconnect()  # type: ignore[no-untyped-call]
        self._on_failure()

    def _admit(self) -> None:
        try:
            self._is_probe = self._circuit.admit()
        except CircuitOpenError:
            self._on_failure()
            raise

    def _failed(self, failure: Exception) -> None:
        self._is_probe = False
        self._circuit.failed(failure)
        self._on_failure()

    def _answered(self) -> None:
        """A completed handshake alone does not count as an answer."""
        if not self._is_connecting:
            self._is_probe = False
            self._circuit.answered()


class GuardedPool(ConnectionPool):
    """A pool of at most ``max_connections`` to one server. A caller waits up to ``wait_seconds`` for a free connection.

    A connection is checked before it is handed out, because servers close idle ones. ``on_failure`` is called when the
    server fails, rejects writes as a replica, or has its circuit open.
    """

    def __init__(
        self,
        *arguments: Any,
        role: str,
        wait_seconds: float,
        on_failure: Callable[[], None] = lambda: None,
        **options: Any,
    ) -> None:
        self._role, self._wait_seconds = role, wait_seconds
        self._returned, self._waiting = threading.Condition(), 0
        longest = options["socket_timeout"] + options["socket_connect_timeout"] + 1.0
        options["on_failure"] = on_failure
        options["circuit"] = circuit_of(role, self._server(*arguments, **options), longest)
        super().__init__(*arguments, **options)

    @staticmethod
    def _server(*arguments: Any, **options: Any) -> str:
        return str(options.get("path") or (options["host"], options["port"]))

    def get_connection(self, *arguments: Any, **options: Any) -> Any:
        """Raises CircuitOpenError, PoolExhaustedError, and what connecting raises."""
        return self._take(trusted_seconds=0.0)

    def get_trusted_connection(self) -> Any:
        """As ``get_connection``, but without the check of a recently used connection, which costs a fourteenth of a
        round trip; a server that stopped since then fails the call like one that stops during it."""
        return self._take(_TRUSTED_SECONDS)

    def _take(self, trusted_seconds: float) -> Any:
        self._checkpid()
        try:
            connection = self._available_connections.pop()
        except IndexError:
            connection = self._make_or_wait()
        self._in_use_connections.add(connection)
        try:
            _make_ready(connection, trusted_seconds)
        except BaseException:
            self.release(connection)
            raise
        return connection

    def _make_or_wait(self) -> Any:
        until = monotonic() + self._wait_seconds
        with self._returned:
            self._waiting += 1
            try:
                while True:
                    with contextlib.suppress(IndexError):
                        return self._available_connections.pop()
                    if self._created_connections < self.max_connections:
                        return self.make_connection()
                    if not self._returned.wait(until - monotonic()) and monotonic() >= until:
                        call_rejected.send(GuardedPool, role=self._role, reason="pool-exhausted")
                        raise PoolExhaustedError(
                            f"All {self.max_connections} connections of the role {self._role} are in use. "
                            "Raise REDIS_MAX_CONNECTIONS, or run fewer threads in a process."
                        )
            finally:
                self._waiting -= 1

    def release(self, connection: Any) -> None:
        self._checkpid()
        try:
            self._in_use_connections.remove(connection)
        except KeyError:  # from another pool, or from the parent process
            return
        if self.owns_connection(connection):
            connection.idle_since = monotonic()
            self._available_connections.append(connection)
        else:
            connection.disconnect()
            with self._returned:
                self._created_connections -= 1
        if self._waiting:
            with self._returned:
                self._returned.notify()

    def disconnect(self, inuse_connections: bool = True) -> None:
        self._checkpid()
        others = list(self._in_use_connections) if inuse_connections else []  # copied at once: no lock is held
        for connection in [*self._available_connections, *others]:
            connection.disconnect()


class GuardedSentinelPool(GuardedPool, SentinelConnectionPool):
    """A pool to the current primary of a Sentinel service."""

    @staticmethod
    def _server(*arguments: Any, **options: Any) -> str:
        return f"{arguments[0]} of {arguments[1].sentinels}"


def _make_ready(connection: Any, trusted_seconds: float) -> None:
    if connection.is_connected:
        if monotonic() - connection.idle_since < trusted_seconds:
            return
        with contextlib.suppress(RedisError):  # closed by the server
            if not connection.can_read():
                return
        connection.disconnect()  # or a reply is outstanding
    connection.connect()
