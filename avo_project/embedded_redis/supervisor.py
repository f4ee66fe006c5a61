"""The supervisor of the embedded server: a small process that starts it, syncs its file and stops it when idle.

It runs as ``python -S -P -m avo_project.embedded_redis.supervisor`` and uses only the standard library.
"""

import argparse
import contextlib
import os
import select
import signal
import sys
import time
from pathlib import Path

from avo_project.embedded_redis import probe
from avo_project.embedded_redis.folder import FileLock, ServerFolder, wait_until
from avo_project.embedded_redis.process import STOP_SECONDS, ServerProcess

READY = "ready"
TICK_SECONDS = 1.0
STARTING_TICK_SECONDS = 0.01
LOG_BYTES = 1_000_000
_sync_data = getattr(os, "fdatasync", os.fsync)  # macOS has only the second


class Signals:
    """Signals as bytes in a pipe, so that one wait ends early for a stop request and for the end of the server."""

    def __init__(self) -> None:
        self._reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, lambda number, frame: None)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # the starting process may have blocked some

    def wait(self, seconds: float) -> bool:
        """Waits at most ``seconds``; returns whether a stop signal came."""
        readable, _, _ = select.select([self._reader], [], [], seconds)
        return bool(readable) and bool(set(os.read(self._reader, 64)) - {signal.SIGCHLD})


class DiskSync:
    """Syncs to disk what the server appended since the last step."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sizes: dict[Path, int] = {}

    def step(self) -> int:
        """Returns how many files were synced."""
        synced = 0
        for file in self._folder.glob("*.aof"):
            with contextlib.suppress(FileNotFoundError), file.open("rb") as opened:  # a rewrite may remove it
                size = os.fstat(opened.fileno()).st_size
                if self._sizes.get(file) != size:
                    _sync_data(opened.fileno())
                    self._sizes[file] = size
                    synced += 1
        return synced


class Supervisor:
    """Decides, once a second, whether a running server must stop; its ``server_lock`` is already held."""

    def __init__(
        self, folder: ServerFolder, server: ServerProcess, server_lock: FileLock, idle_timeout_seconds: float
    ) -> None:
        self._folder = folder
        self._server = server
        self._server_lock = server_lock
        self._users_lock = FileLock(folder.users_lock)
        self._idle_timeout_seconds = idle_timeout_seconds
        self._unused_since: float | None = None
        self._disk_sync = DiskSync(folder.append_only_folder)

    def step(self, now: float) -> str:
        """Syncs the file and checks the server. Returns why the server must stop, or an empty string."""
        if self._server.has_ended():
            return "it exited"
        if not self._has_folder() or not self._folder.socket_path.exists():
            return "its data folder or its socket was removed"
        self._disk_sync.step()
        return "idle timeout" if self._is_unused(now) else ""

    def end(self) -> None:
        """Stops the server; kills it when the folder was replaced, so that it cannot remove the socket of a new one."""
        if self._has_folder():
            self._server.stop()
        else:
            self._server.kill()
        self._folder.tidy()

    def _has_folder(self) -> bool:
        return self._server_lock.is_current() and self._users_lock.is_current()

    def _is_unused(self, now: float) -> bool:
        """When true, the users lock stays held: a new user waits for the shutdown, then starts a new server."""
        if not self._users_lock.try_exclusive():
            self._unused_since = None
            return False
        if self._unused_since is None:
            self._unused_since = now
        if now - self._unused_since >= self._idle_timeout_seconds:
            return True
        self._users_lock.release()
        return False


def supervise(
    folder: ServerFolder, binary: str, server_lock: FileLock, idle_timeout_seconds: float, report: int
) -> None:
    """Runs a server until it must stop. READY, or why the server did not start, is written to descriptor ``report``."""
    signals = Signals()
    server = ServerProcess(folder, binary, server_lock)
    supervisor = Supervisor(folder, server, server_lock, idle_timeout_seconds)
    reason = "the supervisor failed"
    try:
        reason = _await_ready(folder, server, signals)
        _report(report, reason or READY)
        while not reason:
            reason = "stop signal" if signals.wait(TICK_SECONDS) else supervisor.step(time.monotonic())
    finally:
        supervisor.end()
        print("supervisor: stopped the server:", reason, flush=True)


def _await_ready(folder: ServerFolder, server: ServerProcess, signals: Signals) -> str:
    """Returns an empty string once the server has loaded its data, or why it did not."""
    while not _is_ready(folder):
        if signals.wait(STARTING_TICK_SECONDS):
            return "stop signal"
        if server.has_ended():
            return folder.last_log_line()
    return ""


def _is_ready(folder: ServerFolder) -> bool:
    try:
        reply = probe.send_command(folder.socket_path, b"PING")
    except TimeoutError:  # too busy loading to answer
        return False
    return bool(reply) and not reply.startswith(probe.LOADING)


def _report(report: int, text: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # loading took longer than the starting process waits
        os.write(report, text.encode())
    os.close(report)


def start(folder: ServerFolder, binary: str, idle_timeout_seconds: float, user: int) -> str:
    """Returns READY, or why there is no server. The start lock admits one process at a time."""
    folder.prepare()
    start_lock = FileLock(folder.start_lock)
    start_lock.wait_exclusive()
    if os.getppid() != user:
        return "the process that needed it has ended"
    if probe.send_command(folder.socket_path, b"PING"):
        return READY
    server_lock = FileLock(folder.server_lock)
    if not wait_until(server_lock.try_exclusive, STOP_SECONDS + probe.ANSWER_SECONDS):
        return "the previous server does not shut down"
    log = _open_log(folder, binary)
    reader, writer = os.pipe()
    if os.fork() == 0:
        start_lock.close()
        os.close(reader)
        os.dup2(log, 1)
        os.dup2(log, 2)
        supervise(folder, binary, server_lock, idle_timeout_seconds, writer)
        sys.exit()
    os.close(writer)
    with os.fdopen(reader) as report:
        return report.read() or "its supervisor ended without a report"


def _open_log(folder: ServerFolder, binary: str) -> int:
    """A descriptor to append to. Its first line is written at once: OSError when the disk is full."""
    if folder.log.exists() and folder.log.stat().st_size > LOG_BYTES:
        folder.log.replace(folder.log.with_suffix(".log.1"))
    log = os.open(folder.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(log, os.fsencode(f"supervisor: starting {binary}\n"))
    return log


def main() -> None:
    """Starts a server unless one runs, and prints ``ready`` or the error; the supervisor runs on in the background."""
    parser = argparse.ArgumentParser(description="Start the embedded Redis server of a data folder.")
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--idle-timeout-seconds", type=float, required=True)
    parser.add_argument("--user", type=int, required=True, help="process id of the parent that needs the server")
    arguments = parser.parse_args()
    os.umask(0o077)
    folder = ServerFolder.of(arguments.data_dir)
    print(start(folder, arguments.binary, arguments.idle_timeout_seconds, arguments.user))


if __name__ == "__main__":
    main()
