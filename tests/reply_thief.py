"""A proxy before Redis that lets one command run and swallows its reply."""

import contextlib
import socket
import threading
from pathlib import Path

import hiredis
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry


class ReplyThief:
    """Counts the commands of all connections; the reply to number ``steals`` (from 1) never arrives, and the
    connection it was due on is closed, as when the network breaks."""

    def __init__(self, server: str, folder: Path, steals: int = 0) -> None:
        self.commands: list[str] = []
        self._server = server
        self._path = str(folder / "thief.sock")
        self._steals = steals
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self._path)
        self._listener.listen()

    def __enter__(self) -> Redis:
        threading.Thread(target=self._accept, daemon=True).start()
        self._client = Redis(
            unix_socket_path=self._path,
            protocol=2,
            legacy_responses=True,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=15,
        )
        return self._client

    def __exit__(self, *error: object) -> None:
        self._client.close()
        self._listener.close()
        Path(self._path).unlink()

    def steal_from_now(self, number: int) -> None:
        """The reply to the ``number``-th command from now is stolen."""
        self._steals = len(self.commands) + number

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        reader = hiredis.Reader()
        with client, socket.socket(socket.AF_UNIX) as server, contextlib.suppress(OSError):
            server.connect(self._server)
            answers = threading.Thread(
                target=self._pass_on, args=(server, client, stolen := threading.Event()), daemon=True
            )
            answers.start()
            while asked := client.recv(65_536):
                reader.feed(asked)
                while (command := reader.gets()) is not False:
                    self.commands.append(command[0].decode().upper())
                    if len(self.commands) == self._steals:
                        stolen.set()
                server.sendall(asked)
            server.shutdown(socket.SHUT_RDWR)

    def _pass_on(self, server: socket.socket, client: socket.socket, stolen: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while answer := server.recv(65_536):  # it has run by now
                if stolen.is_set():
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(answer)
