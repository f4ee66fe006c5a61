"""Counter files of the workers of one web server, whose sum is served at /metrics.

A worker locks a numbered file while it runs; its successor continues with that file. There are never more files than
concurrent workers, and no counter decreases when a worker ends.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

_PREFIX = "avo-metrics-"
_SERVER_LOCK = "server.lock"
_held: list[int] = []  # descriptors whose locks end with this process


@contextmanager
def folder() -> Iterator[str]:
    """A new folder, removed afterwards. Also removes the folders of servers that were killed."""
    _remove_abandoned()
    unlocked = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}"))
    _held.append(_locked(unlocked / _SERVER_LOCK))
    made = unlocked.rename(unlocked.with_name(unlocked.name.removeprefix(".")))  # visible to other servers from here on
    try:
        yield str(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def claim() -> None:
    """Locks a file for this worker. Call it before anything that creates a counter is imported."""
    made = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    for number in count():
        descriptor = _locked(made / f"{number}.lock")
        if descriptor >= 0:
            break
    _held.append(descriptor)
    from prometheus_client import values

    values.ValueClass = values.MultiProcessValue(process_identifier=lambda: number)  # type: ignore[no-untyped-call]


def _remove_abandoned() -> None:
    for found in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        lock = found / _SERVER_LOCK
        if found.is_symlink() or not lock.exists() or found.stat().st_uid != os.geteuid():
            continue
        descriptor = _locked(lock)
        if descriptor >= 0:
            shutil.rmtree(found, ignore_errors=True)
            os.close(descriptor)


def _locked(path: Path) -> int:
    """A descriptor of the file, locked by this process; -1 when another process holds the lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return -1
    return descriptor
