"""Commands packed by hand: redis-py's own share of a round trip is a half.

The connections come from a client's pool and go back to it, so TLS, Sentinel and the embedded server stay redis-py's
business. Any thread may call. A command whose reply was lost is not sent again: the caller knows whether that would do
harm. After any failure the next call connects anew.
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import hiredis
from redis import Redis, RedisCluster
from redis.exceptions import (
    AskError,
    ClusterDownError,
    NoScriptError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from avo_project.redis_client.pool import GuardedConnection, GuardedPool

Argument = bytes | str | int | float
Reply = Any  # bytes, int, None, a list of replies, or the ResponseError that the server sent

_give_way: Callable[[], None] = getattr(os, "sched_yield", lambda: None)  # macOS has no such call

_NOT_RUN = (NoScriptError, AskError, TryAgainError, ClusterDownError)  # MOVED is an AskError


def pack(*command: Argument) -> bytes:
    """One command as the bytes that go to the server."""
    return hiredis.pack_command(command)  # type: ignore[arg-type, no-any-return]


def server_of(client: Any, key: str) -> "Redis":
    """The server that holds ``key``. On a cluster its answer may still be MOVED, when slots are on their way."""
    if not isinstance(client, RedisCluster):
        server: Redis = client
        return server
    return client.get_redis_connection(client.get_node_from_key(key))  # type: ignore[no-untyped-call]


def execute_packed(server: "Redis", packed: bytes, replies: int, wait_seconds: float = 0.0) -> list[Reply]:
    """Sends ``packed`` and reads its ``replies`` in one round trip. An error reply is returned, not raised.

    ``wait_seconds`` is how long a blocking command among them waits on the server. Raises ConnectionError or
    TimeoutError when a reply does not come: its command may have run.
    """
    pool = server.connection_pool
    connection = _taken_from(pool)
    try:
        connection.send_packed_command([packed], check_health=False)
        return _read_all(connection, replies, wait_seconds)
    except BaseException:
        connection.disconnect()  # it may be owed a reply
        raise
    finally:
        pool.release(connection)


def execute(client: Any, key: str, *commands: tuple[Argument, ...], wait_seconds: float = 0.0) -> list[Reply]:
    """The replies of commands about ``key``, sent in one go. Raises the first error among them, TryAgainError when a
    cluster's key has moved, and what ``execute_packed`` raises."""
    packed = b"".join([pack(*command) for command in commands])
    replies = execute_packed(server_of(client, key), packed, len(commands), wait_seconds)
    for reply in replies:
        if isinstance(reply, AskError) and isinstance(client, RedisCluster):  # MOVED is one
            client.nodes_manager.initialize()
            raise TryAgainError(str(reply)) from reply
        if isinstance(reply, ResponseError):
            raise reply
    return replies


def run_script(client: Any, script: Any, keys: Sequence[str], arguments: Sequence[Argument]) -> Reply:
    """The reply of a script registered with ``client``. Raises RedisError."""
    packed = pack("EVALSHA", script.sha, len(keys), *keys, *arguments)
    [reply] = execute_packed(server_of(client, keys[0]), packed, 1)
    if isinstance(reply, _NOT_RUN):  # redis-py loads the script, or finds who has its keys by now
        return script(keys=keys, args=arguments, client=client)
    if isinstance(reply, ResponseError):
        raise reply
    return reply


class ConnectionLostError(RedisConnectionError):
    """The connection of a window is closed, and with it went what was prepared on it."""


class Pipeline:
    """One connection to ``server`` with several requests on their way at once.

    While the server works on one request the caller makes the next, so neither sleeps. Whoever else wants a processor
    is let in after each request; they would wait for the end of a time slice, 3 ms, for want of a third processor.
    Left early, the connection is closed, for it may still hold replies. ``len()`` is how many requests are not
    received yet.

    Once the connection was closed, by an error or because the server is no primary any more, ``post`` and ``receive``
    raise ConnectionLostError until its owner calls ``restart``: a WATCH, and replies on their way, went with it.
    """

    def __init__(self, server: "Redis") -> None:
        self._pool: Any = server.connection_pool
        self._awaited: deque[int] = deque()

    def __enter__(self) -> Self:
        self._connection = _taken_from(self._pool)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None or self._awaited:
            self._connection.disconnect()
        self._pool.release(self._connection)

    def __len__(self) -> int:
        return len(self._awaited)

    def restart(self) -> None:
        """Goes on over a connection that is open and owed nothing, as far as is known."""
        if self._awaited:
            self._connection.disconnect()
        self._awaited.clear()
        self._pool.release(self._connection)
        self._connection = self._pool.get_connection()

    def post(self, packed: bytes, replies: int) -> None:
        """Sends a request that will have so many replies."""
        self._insist_on_connection()
        self._connection.send_packed_command([packed], check_health=False)
        self._awaited.append(replies)

    def receive(self) -> list[Reply]:
        """The replies of the oldest request on its way."""
        _give_way()
        self._insist_on_connection()
        try:
            return _read_all(self._connection, self._awaited.popleft())
        except BaseException:
            self._connection.disconnect()
            raise

    def _insist_on_connection(self) -> None:
        if not self._connection.is_connected:
            raise ConnectionLostError("The connection was closed, and nothing of what was prepared on it was done.")


def _taken_from(pool: Any) -> Any:
    return pool.get_trusted_connection() if isinstance(pool, GuardedPool) else pool.get_connection()


def _read_all(connection: Any, count: int, wait_seconds: float = 0.0) -> list[Reply]:
    if isinstance(connection, GuardedConnection):
        replies = connection.read_replies(count, wait_seconds)
    else:  # of a client that no role made
        replies = [_reply(connection) for _ in range(count)]
    if ReadOnlyError in map(type, replies):
        connection.disconnect()  # its address may lead to another server by now
    return replies


def _reply(connection: Any) -> Reply:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error
