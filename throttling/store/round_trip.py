"""One command sent and its reply read with less of redis-py around it: its own share of a round trip is a half."""

import os
from collections import deque
from typing import Any
from weakref import WeakKeyDictionary

import hiredis
from redis import RedisCluster
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

Argument = bytes | str | int

_IDLE: WeakKeyDictionary[Any, deque[Any]] = WeakKeyDictionary()
"""Connections that nobody uses, by the pool that made them."""


class RoundTrip:
    """Calls one script over connections of ``client``'s pool: TLS, Sentinel and the embedded server stay its business.

    Connections are kept here between calls, which saves the pool's bookkeeping. On a cluster redis-py sends the
    call, for it knows where to.
    """

    def __init__(self, client: Any, script: Any) -> None:
        self._client, self._script = client, script
        self._head = (b"EVALSHA", str(script.sha).encode())
        self._is_cluster = isinstance(client, RedisCluster)

    def __call__(self, keys: tuple[str, ...], arguments: tuple[Argument, ...]) -> Any:
        """The script's reply. Raises RedisError."""
        if self._is_cluster:
            return self._script(keys, arguments)
        packed = hiredis.pack_command((*self._head, len(keys), *keys, *arguments))  # type: ignore[arg-type]
        pool = self._client.connection_pool
        idle = _IDLE.setdefault(pool, deque())
        connection = _usable(idle) or pool.get_connection()
        try:
            connection.send_packed_command([packed])
            return connection.read_response()
        except ResponseError:  # not loaded since the server started: redis-py loads it, or says what is wrong
            return self._script(keys, arguments)
        except BaseException:
            connection.disconnect()  # its reply may still come
            raise
        finally:
            idle.append(connection)


def _usable(idle: deque[Any]) -> Any:
    """A connection of ``idle``, or None. Its ``send_packed_command`` connects it when it is closed."""
    try:
        connection = idle.pop()
    except IndexError:
        return None
    if connection.pid != os.getpid():  # this process is a fork: its parent goes on using it
        return None
    try:
        is_quiet = not connection.can_read()
    except RedisConnectionError:
        is_quiet = False
    if not is_quiet:  # the server has closed it
        connection.disconnect()
    return connection
