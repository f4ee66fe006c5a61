"""The embedded Redis server: started by the first process that needs it, stopped after the last one has ended.

``python -m avo_project.embedded_redis status|stop DATA_DIR`` shows its status or stops it.

A process uses the server as long as it holds the users lock of the data folder, shared, which the kernel frees however
the process ends; there is no list of process ids that could go stale. The supervisor starts and stops the server.
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

from redis.exceptions import ConnectionError as RedisConnectionError

from avo_project.embedded_redis import probe, supervisor
from avo_project.embedded_redis.folder import FileLock, ServerFolder, claim, release_claim, wait_until
from avo_project.embedded_redis.process import BINARY_VARIABLE, ServerBinaryError, server_binary

IDLE_TIMEOUT_SECONDS = 10.0
START_SECONDS = 30.0
IN_USE_SECONDS = 0.5  # longer than the supervisor holds the users lock when it checks it
_UNREADABLE_FILE = ("Bad file format reading the append only file", "Error reading the RDB base file")
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME")


class EmbeddedServerError(RedisConnectionError, RuntimeError):
    """The embedded server is unavailable; the message is one line that says what to do."""


class EmbeddedServer:
    """The server of one data folder: starts it, connects to it, stops it.

    ``idle_timeout_seconds`` is how long it runs after its last user has ended; the process that starts it sets it.
    """

    def __init__(self, data_dir: Path, idle_timeout_seconds: float = IDLE_TIMEOUT_SECONDS) -> None:
        self._folder = ServerFolder.of(data_dir)
        self._idle_timeout_seconds = idle_timeout_seconds

    @property
    def socket_path(self) -> Path:
        return self._folder.socket_path

    def ensure_running(self) -> None:
        """Returns when the server answers and has loaded its data. Raises EmbeddedServerError after 30 s."""
        self.open_socket().close()

    def open_socket(self, answer_seconds: float | None = probe.ANSWER_SECONDS) -> socket.socket:
        """A connected socket whose server has just answered; the server is started first if necessary.

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
            raise TimeoutError("it ended after each start")

    def stop_if_unused(self, timeout_seconds: float = 10.0) -> bool:
        """Stops the server unless another process uses it. Returns whether it has ended, with all data on disk."""
        if not self._folder.path.is_dir():
            return True
        with (
            _explained(self._folder),
            FileLock(self._folder.users_lock) as users,
            FileLock(self._folder.start_lock) as start,
        ):
            had_claim = release_claim(self._folder)
            if not wait_until(users.try_exclusive, IN_USE_SECONDS) and users.try_shared():
                if had_claim:
                    claim(self._folder)
                return False
            return wait_until(lambda: self._is_gone(start), timeout_seconds)

    def is_running(self) -> bool:
        """Whether a server answers now; does not start one."""
        with _explained(self._folder):
            return bool(probe.send_command(self.socket_path, b"PING"))

    def _start(self, timeout_seconds: float) -> None:
        python = [sys.executable, "-S", "-P", "-m", supervisor.__name__]
        options = {"binary": server_binary(), "idle-timeout-seconds": self._idle_timeout_seconds, "user": os.getpid()}
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
        """Sends SHUTDOWN on each call, because a server may only just be starting for a user that was killed."""
        probe.send_command(self.socket_path, b"SHUTDOWN NOSAVE")  # syncs the append-only file all the same
        with FileLock(self._folder.server_lock) as server_lock:
            return start_lock.try_exclusive() and server_lock.try_exclusive()


def _start_error(reason: str, folder: ServerFolder) -> Exception:
    """A server that cannot read a file advises to repair it, which would truncate the data."""
    if not reason.startswith(_UNREADABLE_FILE):
        return ChildProcessError(reason)
    return ServerBinaryError(
        f"The Redis server cannot read the data in {folder.append_only_folder} ({reason.partition(':')[0]}); nothing "
        "was changed. A server reads what an older one wrote, but not always what a newer or another one wrote. If "
        f"{folder.log.name} names another server than before, set {BINARY_VARIABLE} to that one and do not repair the "
        "file: that removes what cannot be read. Or set AVO_DATA_DIR to another folder."
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
    """Exit status: of ``status`` 0 when it runs, else 1; of ``stop`` 0 when it has ended, 1 when it is in use."""
    parser = argparse.ArgumentParser(description="Status and stop of the embedded Redis server of a data folder.")
    parser.add_argument("verb", choices=["status", "stop"])
    parser.add_argument("data_dir", type=Path)
    chosen = parser.parse_args(arguments)
    server = EmbeddedServer(chosen.data_dir.expanduser())
    if chosen.verb == "stop":
        done = server.stop_if_unused()
        print("stopped" if done else "still in use, or still shutting down")
    else:
        done = server.is_running()
        print(f"running on {server.socket_path}" if done else "not running")
    return 0 if done else 1
