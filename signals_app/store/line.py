"""One connection kept for a hot path: commands packed in bulk, replies as they come, nothing of redis-py in between.

Taking a connection from the pool and handing it back costs as much as an XADD. TLS, Sentinel and the embedded server
stay redis-py's business, for the connection is one of its pool's.
"""

from collections.abc import Sequence
from typing import Any

import hiredis
from redis import RedisCluster
from redis.exceptions import AskError, ClusterDownError, NoScriptError, ReadOnlyError, ResponseError, TryAgainError

Argument = bytes | str | int | float
Reply = Any  # bytes, int, None, or a list of replies


class Line:
    """For one thread. ``key`` says which server of a cluster is meant.

    A command whose reply was lost is not sent again: the caller knows whether that would do harm. After any failure
    the next call connects anew.
    """

    def __init__(self, client: Any, key: str) -> None:
        self._client = client
        self._key = key
        self._pool: Any = None
        self._connection: Any = None

    def ask(self, *commands: tuple[Argument, ...]) -> list[Reply]:
        """Sends all in one go and returns their replies. Raises the first error among them, and ConnectionError or
        TimeoutError when a reply does not come: its command may have run."""
        connection = self._connection or self._connect()
        try:
            connection.send_packed_command([b"".join([_pack(command) for command in commands])])
            replies = [_read(connection) for _ in commands]
        except BaseException:
            self.close()
            raise
        for reply in replies:
            if isinstance(reply, ResponseError):
                self._refuse(reply)
        return replies

    def run(self, script: Any, keys: Sequence[str], arguments: Sequence[Argument]) -> Reply:
        """The reply of a registered script, which is sent in full where the server does not know it."""
        try:
            return self.ask(("EVALSHA", script.sha, len(keys), *keys, *arguments))[0]
        except NoScriptError:
            return self.ask(("EVAL", script.script, len(keys), *keys, *arguments))[0]

    def close(self) -> None:
        """The connection goes back to its pool, closed: it may be owed a reply."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()
            self._pool.release(connection)

    __del__ = close

    def _connect(self) -> Any:
        server = self._client
        if isinstance(server, RedisCluster):
            server = server.get_redis_connection(server.get_node_from_key(self._key))  # type: ignore[no-untyped-call]
        self._pool = server.connection_pool
        self._connection = self._pool.get_connection()
        return self._connection

    def _refuse(self, error: ResponseError) -> None:
        if isinstance(error, (ReadOnlyError, ClusterDownError)):
            self.close()  # no primary any more: the address may lead to another server by now
        if isinstance(error, AskError) and isinstance(self._client, RedisCluster):  # MOVED is one
            self.close()
            self._client.nodes_manager.initialize()
            raise TryAgainError(str(error)) from error
        raise error


def _pack(command: tuple[Argument, ...]) -> bytes:
    return hiredis.pack_command(command)  # type: ignore[arg-type, no-any-return]


def _read(connection: Any) -> Reply:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error
