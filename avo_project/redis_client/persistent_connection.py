"""Hand-packed commands for hot paths, because redis-py takes half of the time of a round trip.

The connections belong to the client's pool, so redis-py still handles TLS, Sentinel and the embedded server.
Thread-safe. A command whose reply was lost is not sent again: only the caller knows whether that is safe. After a
failure the next call opens a new connection.
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import hiredis
from redis import Redis
from redis.exceptions import (
    AskError,
    ClusterDownError,
    NoScriptError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from avo_project.redis_client.cluster import ClusterClient
from avo_project.redis_client.pool import GuardedConnection, GuardedPool

Argument = bytes | str | int | float
Reply = Any  # bytes, int, None, a list of replies, or the ResponseError that the server sent

_yield_cpu: Callable[[], None] = getattr(os, "sched_yield", lambda: None)  # macOS has no sched_yield

_NOT_RUN = (NoScriptError, TryAgainError, ClusterDownError)


def pack(*command: Argument) -> bytes:
    """One command in the wire protocol."""
    return hiredis.pack_command(command)  # type: ignore[arg-type, no-any-return]


def server_of(client: Any, key: str) -> "Redis":
    """The server that holds ``key``. On a cluster it may still reply MOVED while slots migrate."""
    if not isinstance(client, ClusterClient):
        server: Redis = client
        return server
    return client.server_of(key)


def execute_packed(server: "Redis", packed: bytes, replies: int, wait_seconds: float = 0.0) -> list[Reply]:
    """Sends ``packed`` and reads its ``replies`` in one round trip. An error reply is returned, not raised.

    ``wait_seconds`` is how long a blocking command among them waits on the server. Raises ConnectionError or
    TimeoutError when a reply is missing: its command may have run.
    """
    pool = server.connection_pool
    connection = _acquire(pool)
    try:
        connection.send_packed_command([packed], check_health=False)
        return _read_all(connection, replies, wait_seconds)
    except BaseException:
        connection.disconnect()  # a reply may be outstanding
        raise
    finally:
        pool.release(connection)


def execute(client: Any, key: str, *commands: tuple[Argument, ...], wait_seconds: float = 0.0) -> list[Reply]:
    """The replies of commands about ``key``, sent in one request. Raises the first error among them, and what
    ``execute_packed`` raises. On a cluster MOVED and ASK are followed once; then it raises TryAgainError."""
    requests = [pack(*command) for command in commands]
    replies = execute_packed(server_of(client, key), b"".join(requests), len(requests), wait_seconds)
    for index, reply in enumerate(replies):
        if isinstance(reply, AskError) and isinstance(client, ClusterClient):
            reply = replies[index] = _redirected(client, requests[index], reply, wait_seconds)
        if isinstance(reply, ResponseError):
            raise reply
    return replies


def execute_on_one_server(
    client: Any, key: str, *commands: tuple[Argument, ...], wait_seconds: float = 0.0
) -> list[Reply]:
    """As ``execute``, but all commands run on one connection: on a cluster whose key has moved it raises TryAgainError
    for all of them."""
    packed = b"".join([pack(*command) for command in commands])
    replies = execute_packed(server_of(client, key), packed, len(commands), wait_seconds)
    for reply in replies:
        if isinstance(reply, AskError) and isinstance(client, ClusterClient):
            client.follow(reply)
            raise TryAgainError(str(reply)) from reply
        if isinstance(reply, ResponseError):
            raise reply
    return replies


def run_script(client: Any, script: Any, keys: Sequence[str], arguments: Sequence[Argument]) -> Reply:
    """The reply of a script registered with ``client``. Raises RedisError."""
    call = (len(keys), *keys, *arguments)
    [reply] = execute_packed(server_of(client, keys[0]), pack("EVALSHA", script.sha, *call), 1)
    if isinstance(reply, AskError) and isinstance(client, ClusterClient):  # the other node may not know the script
        reply = _redirected(client, pack("EVAL", script.script, *call), reply)
    if isinstance(reply, _NOT_RUN):  # redis-py loads the script, or waits
        return script(keys=keys, args=arguments, client=client)
    if isinstance(reply, ResponseError):
        raise reply
    return reply


def _redirected(client: ClusterClient, packed: bytes, redirect: AskError, wait_seconds: float = 0.0) -> Reply:
    """The reply of one command from the node that ``redirect`` (MOVED is an ASK to redis-py) names."""
    server = client.follow(redirect)
    [_, reply] = execute_packed(server, pack("ASKING") + packed, 2, wait_seconds)
    if isinstance(reply, AskError):  # the slot moves on this very moment
        raise TryAgainError(str(reply)) from reply
    return reply


class ConnectionLostError(RedisConnectionError):
    """The connection of a pipeline was closed; everything prepared on it is lost."""


class Pipeline:
    """One connection to ``server`` with several requests in flight.

    The caller builds the next request while the server executes the previous one. The CPU is yielded after each
    request, because other processes would wait for the end of a time slice of 3 ms. ``len()`` is the number of requests
    in flight; when the context is left before their replies are received, the connection is closed.

    After the connection was closed, by an error or because the server is no longer a primary, ``post`` and ``receive``
    raise ConnectionLostError until the owner calls ``restart``: a WATCH and outstanding replies are lost.
    """

    def __init__(self, server: "Redis") -> None:
        self._pool: Any = server.connection_pool
        self._pending: deque[int] = deque()

    def __enter__(self) -> Self:
        self._connection = _acquire(self._pool)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None or self._pending:
            self._connection.disconnect()
        self._pool.release(self._connection)

    def __len__(self) -> int:
        return len(self._pending)

    def restart(self) -> None:
        """Continues on an open connection without outstanding replies."""
        if self._pending:
            self._connection.disconnect()
        self._pending.clear()
        self._pool.release(self._connection)
        self._connection = self._pool.get_connection()

    def post(self, packed: bytes, replies: int) -> None:
        """Sends a request with ``replies`` replies."""
        self._require_connection()
        self._connection.send_packed_command([packed], check_health=False)
        self._pending.append(replies)

    def receive(self) -> list[Reply]:
        """The replies of the oldest request in flight."""
        _yield_cpu()
        self._require_connection()
        try:
            return _read_all(self._connection, self._pending.popleft())
        except BaseException:
            self._connection.disconnect()
            raise

    def _require_connection(self) -> None:
        if not self._connection.is_connected:
            raise ConnectionLostError("The connection was closed, and what was prepared on it was not executed.")


def _acquire(pool: Any) -> Any:
    return pool.get_trusted_connection() if isinstance(pool, GuardedPool) else pool.get_connection()


def _read_all(connection: Any, count: int, wait_seconds: float = 0.0) -> list[Reply]:
    if not isinstance(connection, GuardedConnection):  # the client was not made by a role
        return [_reply(connection) for _ in range(count)]
    replies = connection.read_replies(count, wait_seconds)
    if ReadOnlyError in map(type, replies):
        connection.leave_replica()
    return replies


def _reply(connection: Any) -> Reply:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error
