"""Who uses an embedded server: every process that holds its folder's users lock, shared, until it ends."""

import os
import threading
from pathlib import Path

from avo_project.embedded_folder import FileLock, ServerFolder, wait_until

END_SECONDS = 30.0

_claims: dict[Path, FileLock] = {}
_guard = threading.Lock()
# No fork while the guard is taken; the children share their parent's claims, and count as long as they live.
os.register_at_fork(before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_guard.release)


def claim(folder: ServerFolder) -> None:
    """Makes this process a user, once; again when the folder was replaced. Waits while a server is ending.

    Raises OSError when the folder cannot be used, TimeoutError when the ending takes over 30 s.
    """
    with _guard:
        held = _claims.get(folder.path)
        if held is None or not held.is_current():
            # The old descriptor is not closed: it may be another file's by now.
            folder.prepare()
            _claims[folder.path] = _take(folder)


def give_up(folder: ServerFolder) -> bool:
    """Ends this process's claim; returns whether it had one."""
    with _guard:
        held = _claims.pop(folder.path, None)
        if held is None or not held.is_current():
            return False
        held.close()
        return True


def _take(folder: ServerFolder) -> FileLock:
    lock = FileLock(folder.users_lock)
    if not wait_until(lock.try_shared, END_SECONDS):
        lock.close()
        raise TimeoutError(f"it has been shutting down for {END_SECONDS:.0f} s")
    return lock
