"""The Redis server that comes with the project: the first process that needs it starts it, the last one's end ends it.

``python -m avo_project.embedded_redis status|stop DATA_DIR`` looks at it or ends it.

A process uses the server as long as it holds the users lock of the data folder, shared, which the kernel frees however
the process ends; no list of process ids can go stale. Starting and ending are the guardian's business.
"""

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from redis.connection import UnixDomainSocketConnection
from redis.exceptions import ConnectionError as RedisConnectionError

from avo_project.embedded_redis import probe, supervisor
from avo_project.embedded_redis.folder import FileLock, ServerFolder, claim, give_up, wait_until
from avo_project.embedded_redis.process import BINARY_VARIABLE, ServerBinaryError, server_binary

LINGER_SECONDS = 10.0
START_SECONDS = 30.0
IN_USE_SECONDS = 0.5  # longer than the guardian's own look at the users lock takes
_UNREADABLE_FILE = ("Bad file format reading the append only file", "Error reading the RDB base file")
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME")


class EmbeddedServerError(RedisConnectionError, RuntimeError):
    """There is no embedded server to talk to; the message is one line that says what to do."""


class EmbeddedServer:
    """The server of one data folder: brings it up, connects to it, ends it.

    ``linger_seconds`` is how long it stays after its last user; the process that starts it decides.
    """

    def __init__(self, data_dir: Path, linger_seconds: float = LINGER_SECONDS) -> None:
        self._folder = ServerFolder.of(data_dir)
        self._linger_seconds = linger_seconds

    @property
    def socket_path(self) -> Path:
        return self._folder.socket_path

    def ensure_running(self) -> None:
        """Returns when the server answers and has loaded its data. Raises EmbeddedServerError after 30 s."""
        self.open_socket().close()

    def open_socket(self, answer_seconds: float | None = probe.ANSWER_SECONDS) -> socket.socket:
        """A connected socket whose server has just answered; it is started first when need be.

        ``answer_seconds`` limits each single answer (None: no limit), START_SECONDS the whole.
        Raises EmbeddedServerError.
        """
        deadline = time.monotonic() + START_SECONDS
        with _explained(self._folder):
            claim(self._folder)
            while time.monotonic() < deadline:
                sock = probe.connect(self.socket_path, answer_seconds)
                if sock is None:
                    self._start(deadline - time.monotonic())
                    continue
                with contextlib.ExitStack() as unless_loaded:
                    unless_loaded.enter_context(sock)
                    if probe.wait_loaded(sock, deadline):
                        unless_loaded.pop_all()
                        return sock
            raise TimeoutError("it ends again and again")

    def stop_if_unused(self, timeout_seconds: float = 10.0) -> bool:
        """Ends the server unless another process uses it. Returns whether it is gone, with everything on the disk."""
        if not self._folder.path.is_dir():
            return True
        with (
            _explained(self._folder),
            FileLock(self._folder.users_lock) as users,
            FileLock(self._folder.start_lock) as start,
        ):
            had_claim = give_up(self._folder)
            if not wait_until(users.try_exclusive, IN_USE_SECONDS) and users.try_shared():
                if had_claim:
                    claim(self._folder)
                return False
            return wait_until(lambda: self._is_gone(start), timeout_seconds)

    def is_running(self) -> bool:
        """Whether a server answers now; starts none."""
        with _explained(self._folder):
            return bool(probe.ask(self.socket_path, b"PING"))

    def _start(self, timeout_seconds: float) -> None:
        python = [sys.executable, "-S", "-P", "-m", supervisor.__name__]
        options = {"binary": server_binary(), "linger-seconds": self._linger_seconds, "user": os.getpid()}
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        try:
            starter = subprocess.run(
                [*python, str(self._folder.path), *(f"--{name}={value}" for name, value in options.items())],
                env={**environment, "PYTHONPATH": str(Path(__file__).parents[2])},
                cwd="/",
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout_seconds,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise TimeoutError("it has not loaded its data within 30 s, try again later") from None
        report = (starter.stdout + starter.stderr).strip()
        if report != supervisor.READY:
            raise _start_error(report.splitlines()[-1] if report else "it did not start", self._folder)

    def _is_gone(self, start_lock: FileLock) -> bool:
        """Asks again each time, since a server may only just be starting for a user that was killed."""
        probe.ask(self.socket_path, b"SHUTDOWN NOSAVE")  # syncs the append-only file all the same
        with FileLock(self._folder.server_lock) as server_lock:
            return start_lock.try_exclusive() and server_lock.try_exclusive()


class EmbeddedServerConnection(UnixDomainSocketConnection):
    """A connection to the server of ``data_dir`` that starts it whenever it is not there.

    Connecting fails with EmbeddedServerError, which is a redis ConnectionError, and with nothing else.
    """

    def __init__(self, data_dir: Path | str, **options: Any) -> None:
        self._server = EmbeddedServer(Path(data_dir))
        super().__init__(**{**options, "path": str(self._server.socket_path)})  # type: ignore[no-untyped-call]

    def _connect(self) -> socket.socket:
        sock = self._server.open_socket(self.socket_connect_timeout)
        sock.settimeout(self.socket_timeout)
        return sock


def _start_error(reason: str, folder: ServerFolder) -> Exception:
    """A server advises to repair a file that it cannot read, which would cut the data off."""
    if not reason.startswith(_UNREADABLE_FILE):
        return ChildProcessError(reason)
    return ServerBinaryError(
        f"The Redis server cannot read the data in {folder.append_only_folder} ({reason.partition(':')[0]}); nothing "
        "was changed. A server reads what an older one wrote, but not always what a newer or another one wrote. If "
        f"{folder.log.name} names another server than before, set {BINARY_VARIABLE} to that one and do not repair the "
        "file: that cuts off what cannot be read. Or set AVO_DATA_DIR to another folder."
    )


@contextlib.contextmanager
def _explained(folder: ServerFolder) -> Iterator[None]:
    try:
        yield
    except ServerBinaryError as error:
        raise EmbeddedServerError(str(error)) from error
    except OSError as error:
        reason = ": ".join(str(part) for part in (error.strerror or error, error.filename) if part)
        raise EmbeddedServerError(
            f"The embedded Redis server cannot run in {folder.path}: {reason}. See {folder.log.name} there, and "
            "make sure the folder can be written and its disk has space, or set AVO_DATA_DIR to another, or REDIS_URL."
        ) from error


def main(arguments: list[str] | None = None) -> int:
    """Exit status: status 0 when it runs, 1 when not; stop 0 when it is gone, 1 when somebody uses it."""
    parser = argparse.ArgumentParser(description="Looks at the embedded Redis server of a data folder, or ends it.")
    parser.add_argument("verb", choices=["status", "stop"])
    parser.add_argument("data_dir", type=Path)
    chosen = parser.parse_args(arguments)
    server = EmbeddedServer(chosen.data_dir.expanduser())
    if chosen.verb == "stop":
        done = server.stop_if_unused()
        print("stopped" if done else "still in use, or not gone yet")
    else:
        done = server.is_running()
        print(f"running on {server.socket_path}" if done else "not running")
    return 0 if done else 1
