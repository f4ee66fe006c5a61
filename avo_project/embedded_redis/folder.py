"""The data folder of the embedded server: locks, log, socket, and the processes that use it."""

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import select
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

# What sockaddr_un holds, without the final NUL byte.
SOCKET_PATH_BYTES = 107 if sys.platform == "linux" else 103
# Not tempfile.gettempdir(): every process of a data folder must find the same place, whatever its TMPDIR.
SHORT_FOLDER = Path("/tmp")  # noqa: S108
POLL_SECONDS = 0.02
_LOG_PREFIX = re.compile(r"^\d+:\S+ .*? [.*#-] ")


@dataclass(frozen=True, slots=True)
class ServerFolder:
    """The paths of one data folder. ``path`` is resolved, so that every spelling of a folder is one server."""

    path: Path

    @classmethod
    def of(cls, data_dir: Path) -> Self:
        return cls(Path(data_dir).resolve())

    @property
    def users_lock(self) -> Path:
        """Held shared by every process that uses the server, exclusively by the one that shuts it down."""
        return self.path / "redis-users.lock"

    @property
    def server_lock(self) -> Path:
        """Held by the supervisor and, through it, by the server, so that no second one opens the append-only file."""
        return self.path / "redis-server.lock"

    @property
    def start_lock(self) -> Path:
        """Held by the one process that is starting a server."""
        return self.path / "redis-start.lock"

    @property
    def log(self) -> Path:
        return self.path / "redis-server.log"

    @property
    def append_only_folder(self) -> Path:
        return self.path / "appendonlydir"

    @property
    def socket_path(self) -> Path:
        """In the data folder, or in a short private folder when that path is longer than a socket's may be."""
        path = self.path / "redis.sock"
        if len(os.fsencode(path)) <= SOCKET_PATH_BYTES:
            return path
        name = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        return SHORT_FOLDER / f"avo-redis-{name}" / "redis.sock"

    def prepare(self) -> None:
        """Creates the folders. Raises OSError when that fails, or when the socket's folder belongs to another user."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = self.socket_path.parent
        if place != self.path:
            place.mkdir(mode=0o700, exist_ok=True)
            _refuse_foreign(place)

    def tidy(self) -> None:
        """Removes the short socket folder if it exists and is empty."""
        if self.socket_path.parent != self.path:
            with contextlib.suppress(OSError):  # in use again, or gone: both are fine
                self.socket_path.parent.rmdir()

    def last_log_line(self) -> str:
        """The last line that the server logged, without process id and time; empty when there is none."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return next((_LOG_PREFIX.sub("", line) for line in reversed(lines) if line.strip()), "")


def _refuse_foreign(place: Path) -> None:
    status = place.lstat()
    if not place.is_dir() or place.is_symlink() or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise PermissionError(errno.EACCES, "Not a private folder of this user", str(place))


class FileLock:
    """An flock. Forked children share it, exec drops it, and the kernel releases it when its last holder ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def try_shared(self) -> bool:
        return self._try(fcntl.LOCK_SH)

    def try_exclusive(self) -> bool:
        return self._try(fcntl.LOCK_EX)

    def wait_exclusive(self) -> None:
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)

    def release(self) -> None:
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Releases this process's share; a forked child may still hold its own."""
        os.close(self.descriptor)

    def is_current(self) -> bool:
        """Whether the descriptor is still open and still refers to the file at this path."""
        try:
            return os.path.samestat(os.fstat(self.descriptor), self._path.stat())
        except OSError:
            return False

    def _try(self, mode: int) -> bool:
        try:
            fcntl.flock(self.descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def wait_until(condition: Callable[[], bool], timeout_seconds: float) -> bool:
    """Polls ``condition`` every 20 ms until it is true; returns whether it became true in time."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        select.select([], [], [], POLL_SECONDS)
    return True


SHUTDOWN_SECONDS = 30.0

_claims: dict[Path, FileLock] = {}
_guard = threading.Lock()
# No fork while the guard is held; children share their parent's claims and count as users until they exit.
os.register_at_fork(before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_guard.release)


def claim(folder: ServerFolder) -> None:
    """Registers this process as a user, once; again when the folder was replaced. Waits while a server shuts down.

    Raises OSError when the folder cannot be used, TimeoutError when the shutdown takes over 30 s.
    """
    with _guard:
        held = _claims.get(folder.path)
        if held is None or not held.is_current():
            # The old descriptor is not closed: it may be another file's by now.
            folder.prepare()
            _claims[folder.path] = _take(folder)


def release_claim(folder: ServerFolder) -> bool:
    """Releases this process's claim; returns whether it had one."""
    with _guard:
        held = _claims.pop(folder.path, None)
        if held is None or not held.is_current():
            return False
        held.close()
        return True


def _take(folder: ServerFolder) -> FileLock:
    lock = FileLock(folder.users_lock)
    if not wait_until(lock.try_shared, SHUTDOWN_SECONDS):
        lock.close()
        raise TimeoutError(f"it has been shutting down for {SHUTDOWN_SECONDS:.0f} s")
    return lock
