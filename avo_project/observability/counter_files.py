"""The files in which the workers of one web server keep their counters, so that /metrics shows their sum.

A worker has a numbered file for as long as it lives, held by a lock; the next one takes the file over and counts on. So
there are never more files than workers at a time, and no counter goes back when a worker ends.
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
    """A fresh folder, gone afterwards; those of servers that were killed go now."""
    _remove_abandoned()
    unlocked = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}"))
    _held.append(_locked(unlocked / _SERVER_LOCK))
    made = unlocked.rename(unlocked.with_name(unlocked.name.removeprefix(".")))  # from here on others see it
    try:
        yield str(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def claim() -> None:
    """Takes a file for this worker. Nothing that counts may be imported before."""
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
    """An open file that this process alone has locked; -1 when another one has."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return -1
    return descriptor
