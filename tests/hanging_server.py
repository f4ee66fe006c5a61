"""A Redis that stops answering and keeps its connections open, as after SIGSTOP."""

import contextlib
import socket
import threading

import hiredis


class HangingServer:
    """Answers PING with PONG, GET with a text, anything else with OK. ``received`` are the commands that it got."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self._answers = threading.Event()
        self._answers.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def hang(self) -> None:
        self._answers.clear()

    def go_on(self) -> None:
        self._answers.set()

    def __enter__(self) -> "HangingServer":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.go_on()
        self.end()

    def end(self) -> None:
        """Refuses connections from now on."""
        if self._listener.fileno() < 0:
            return
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for a connection
        self._listener.close()
        self.close_connections()

    def close_connections(self) -> None:
        while self._connections:
            connection = self._connections.pop()
            with contextlib.suppress(OSError):  # closed by the client
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        reader = hiredis.Reader()
        with contextlib.suppress(OSError):
            while heard := connection.recv(65_536):
                reader.feed(heard)
                while (command := reader.gets()) is not False:
                    name = command[0].decode().upper()
                    self.received.append(name)
                    self._answers.wait()
                    connection.sendall({"PING": b"+PONG\r\n", "GET": b"$4\r\ntext\r\n"}.get(name, b"+OK\r\n"))
