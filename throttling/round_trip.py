"""One command sent and its reply read with less of redis-py around it: its own share of a round trip is a half."""

from typing import Any

import hiredis
from redis import RedisCluster
from redis.exceptions import ResponseError

Argument = bytes | str | int


class RoundTrip:
    """Calls one script over ``client``'s own connections, so TLS, Sentinel and the embedded server stay its business.

    On a cluster redis-py sends the call, for it knows where to.
    """

    def __init__(self, client: Any, script: Any) -> None:
        self._client, self._script = client, script
        self._head = (b"EVALSHA", str(script.sha).encode())
        self._is_cluster = isinstance(client, RedisCluster)

    def __call__(self, keys: tuple[str, ...], arguments: tuple[Argument, ...]) -> Any:
        """The script's reply. Raises RedisError."""
        if self._is_cluster:
            return self._script(keys, arguments)
        pool = self._client.connection_pool
        connection = pool.get_connection()
        try:
            packed = hiredis.pack_command((*self._head, len(keys), *keys, *arguments))  # type: ignore[arg-type]
            connection.send_packed_command([packed])
            return connection.read_response()
        except ResponseError:  # not loaded since the server started: redis-py loads it, or says what is wrong
            return self._script(keys, arguments)
        except BaseException:
            connection.disconnect()  # its reply may still come
            raise
        finally:
            pool.release(connection)
