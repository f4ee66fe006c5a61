"""An HTTP server that sends given bytes piece by piece, without end."""

import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

PAUSE_SECONDS = 0.05
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def dripping(start: bytes, drop: bytes) -> Iterator[bytes]:
    yield start
    yield from itertools.repeat(drop)


PIECES: dict[str, Callable[[], Iterator[bytes]]] = {
    "nothing at all": lambda: dripping(b"", b""),
    "a status line that drips": lambda: dripping(b"HTTP/1.1 20", b"0"),
    "headers that drip": lambda: dripping(HEAD + b"X: ", b"x"),
    "header after header": lambda: dripping(HEAD, b"X: x\r\n"),
    "early hints without end": lambda: dripping(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "a body that drips": lambda: dripping(HEAD + b"Content-Length: 1000\r\n\r\n", b" "),
    "a body without an end that drips": lambda: dripping(HEAD + b"\r\n", b" "),
    "chunks that drip": lambda: dripping(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
}


@contextmanager
def slow_server(pieces: Iterator[bytes], pause_seconds: float = PAUSE_SECONDS) -> Iterator[str]:
    """The URL of a server that sends ``pieces`` to its first caller, ``pause_seconds`` apart, while it stays."""
    listening, over = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def serve() -> None:
        with suppress(OSError):
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                connection.recv(65_536)
                for piece in pieces:
                    connection.sendall(piece)
                    if over.wait(pause_seconds):
                        return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        over.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()
