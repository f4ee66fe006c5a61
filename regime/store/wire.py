"""Requests packed by hand and replies read late: what redis-py itself costs is half of a round trip.

Works on the connections of any redis-py pool, so TLS, Sentinel and the embedded server stay its business.
"""

from collections import deque
from types import TracebackType
from typing import Any, Self

import hiredis
from redis import Redis
from redis.exceptions import ResponseError

Reply = Any  # bytes, int, None, a list of replies, or the ResponseError that the server sent
Argument = bytes | str | int | float


def pack(*command: Argument) -> bytes:
    """One command as the bytes that go to the server."""
    return hiredis.pack_command(command)  # type: ignore[arg-type, no-any-return]


def exchange(client: "Redis", packed: bytes, replies: int) -> list[Reply]:
    """Sends ``packed`` and reads its ``replies`` in one round trip. An error reply is returned, not raised."""
    pool = client.connection_pool
    connection = pool.get_connection()
    try:
        connection.send_packed_command([packed])  # type: ignore[no-untyped-call]
        return _read_all(connection, replies)
    except BaseException:
        connection.disconnect()  # type: ignore[no-untyped-call]
        raise
    finally:
        pool.release(connection)


class Window:
    """One connection of ``client`` with several requests on their way at once.

    While the server works on one request the caller makes the next. Left early, the connection is closed, for it may
    still hold replies. ``len()`` is how many requests are not received yet.
    """

    def __init__(self, client: "Redis") -> None:
        self._pool = client.connection_pool
        self._awaited: deque[int] = deque()

    def __enter__(self) -> Self:
        self._connection = self._pool.get_connection()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None or self._awaited:
            self._connection.disconnect()  # type: ignore[no-untyped-call]
        self._pool.release(self._connection)

    def __len__(self) -> int:
        return len(self._awaited)

    def post(self, packed: bytes, replies: int) -> None:
        """Sends a request that will have so many replies."""
        self._connection.send_packed_command([packed])  # type: ignore[no-untyped-call]
        self._awaited.append(replies)

    def receive(self) -> list[Reply]:
        """The replies of the oldest request on its way."""
        return _read_all(self._connection, self._awaited.popleft())


def _read_all(connection: Any, count: int) -> list[Reply]:
    read, replies = connection.read_response, list[Reply]()
    while len(replies) < count:
        try:
            while len(replies) < count:
                replies.append(read())
        except ResponseError as error:
            replies.append(error)
    return replies
