"""Commands packed by hand over connections kept between calls: redis-py's own share of a round trip is a half.

The connections come from a client's pool, so TLS, Sentinel and the embedded server stay redis-py's business. Any thread
may call, and a fork uses none of its parent's. A command whose reply was lost is not sent again: the caller knows
whether that would do harm. After any failure the next call connects anew.

A connection that has rested is looked at before it is used, for servers close idle ones. One that was used a moment ago
is not: the look costs a fourteenth of a round trip, and a server that went away in that moment is an error like one
that goes away during the call.
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from types import TracebackType
from typing import Any, Self
from weakref import WeakKeyDictionary

import hiredis
from redis import Redis, RedisCluster
from redis.exceptions import (
    AskError,
    ClusterDownError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from avo_project.many_replies import ManyReplies

Argument = bytes | str | int | float
Reply = Any  # bytes, int, None, a list of replies, or the ResponseError that the server sent

_Idle = deque[tuple[Any, float]]

_IDLE: WeakKeyDictionary[Any, _Idle] = WeakKeyDictionary()
"""Connections that nobody uses, and since when by the monotonic clock, by the pool that made them."""
os.register_at_fork(after_in_child=_IDLE.clear)

_TRUSTED_SECONDS = 0.1  # no server calls a connection idle that soon

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


def exchange(server: "Redis", packed: bytes, replies: int) -> list[Reply]:
    """Sends ``packed`` and reads its ``replies`` in one round trip. An error reply is returned, not raised.

    Raises ConnectionError or TimeoutError when a reply does not come: its command may have run.
    """
    pool = server.connection_pool
    idle = _IDLE.setdefault(pool, deque())
    connection = _usable(pool, idle) or pool.get_connection()
    try:
        connection.send_packed_command([packed], check_health=False)
        return _read_all(connection, replies)
    except BaseException:
        connection.disconnect()  # it may be owed a reply
        raise
    finally:
        idle.append((connection, monotonic()))


def ask(client: Any, key: str, *commands: tuple[Argument, ...]) -> list[Reply]:
    """The replies of commands about ``key``, sent in one go. Raises the first error among them, TryAgainError when a
    cluster's key has moved, and what ``exchange`` raises."""
    replies = exchange(server_of(client, key), b"".join([pack(*command) for command in commands]), len(commands))
    for reply in replies:
        if isinstance(reply, AskError) and isinstance(client, RedisCluster):  # MOVED is one
            client.nodes_manager.initialize()
            raise TryAgainError(str(reply)) from reply
        if isinstance(reply, ResponseError):
            raise reply
    return replies


def run(client: Any, script: Any, keys: Sequence[str], arguments: Sequence[Argument]) -> Reply:
    """The reply of a script registered with ``client``. Raises RedisError."""
    packed = pack("EVALSHA", script.sha, len(keys), *keys, *arguments)
    [reply] = exchange(server_of(client, keys[0]), packed, 1)
    if isinstance(reply, _NOT_RUN):  # redis-py loads the script, or finds who has its keys by now
        return script(keys=keys, args=arguments, client=client)
    if isinstance(reply, ResponseError):
        raise reply
    return reply


class Window:
    """One connection to ``server`` with several requests on their way at once.

    While the server works on one request the caller makes the next, so neither sleeps. Whoever else wants a processor
    is let in after each request; they would wait for the end of a time slice, 3 ms, for want of a third processor.
    Left early, the connection is closed, for it may still hold replies. ``len()`` is how many requests are not
    received yet.
    """

    def __init__(self, server: "Redis") -> None:
        self._pool = server.connection_pool
        self._idle = _IDLE.setdefault(self._pool, deque())
        self._awaited: deque[int] = deque()

    def __enter__(self) -> Self:
        self._connection = _usable(self._pool, self._idle) or self._pool.get_connection()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None or self._awaited:
            self._connection.disconnect()
        self._idle.append((self._connection, monotonic()))

    def __len__(self) -> int:
        return len(self._awaited)

    def post(self, packed: bytes, replies: int) -> None:
        """Sends a request that will have so many replies."""
        self._connection.send_packed_command([packed], check_health=False)
        self._awaited.append(replies)

    def receive(self) -> list[Reply]:
        """The replies of the oldest request on its way."""
        _give_way()
        return _read_all(self._connection, self._awaited.popleft())


def _usable(pool: Any, idle: _Idle) -> Any:
    """A connection of ``idle`` that is open, as far as is known, and owed no reply, or None. The others go back to
    their pool, closed."""
    while idle:
        try:
            connection, rests_since = idle.pop()
            if connection.is_connected and (_is_trusted(rests_since) or not connection.can_read()):
                return connection
        except IndexError:  # another thread took the last one
            return None
        except RedisError:  # the server has closed it
            pass
        connection.disconnect()
        pool.release(connection)
    return None


def _is_trusted(rests_since: float) -> bool:
    return monotonic() - rests_since < _TRUSTED_SECONDS


def _read_all(connection: Any, count: int) -> list[Reply]:
    if isinstance(connection, ManyReplies):
        replies = connection.read_replies(count)
    else:  # a node of a cluster, a primary behind a Sentinel
        replies = [_reply(connection) for _ in range(count)]
    if ReadOnlyError in map(type, replies):
        connection.disconnect()  # its address may lead to another server by now
    return replies


def _reply(connection: Any) -> Reply:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error
