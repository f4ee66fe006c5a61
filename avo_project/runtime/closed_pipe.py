"""Clean exit of a command whose output cannot be written: a closed pipe (``| head``), a full disk, a closed stdout."""

import errno
import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EXIT_STATUS = 128 + signal.SIGPIPE  # the status that a shell reports for SIGPIPE
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
_STDOUT, _STDERR = 1, 2


@contextmanager
def exit_on_closed_pipe() -> Iterator[None]:
    """Exits without a traceback, with status 141, when standard output or error is a pipe without a reader.

    Output that was closed from the start is discarded. Output that cannot be written ends the process with one line and
    status 1. An OSError of any other file, pipe or socket is re-raised. SIGPIPE stays ignored, because it would end the
    process for those too.
    """
    _open_closed_outputs()
    try:
        try:
            yield
        finally:
            sys.stdout.flush()  # here, since the interpreter's own flush at exit cannot be caught
    except BrokenPipeError:
        closed = [descriptor for descriptor in (_STDOUT, _STDERR) if _has_no_reader(descriptor)]
        if not closed:
            raise
        for descriptor in closed:
            _discard_output(descriptor)
        sys.exit(EXIT_STATUS)
    except OSError as failure:
        if failure.errno not in _NO_SPACE or failure.errno != _write_failure(_STDOUT):
            raise
        _discard_output(_STDOUT)
        sys.exit(f"Standard output cannot be written: {failure.strerror}.")


def _open_closed_outputs() -> None:
    """Replaces missing streams, on which ``sys.stdout.write`` and Django's commands fail."""
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open until the process ends
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as above


def _has_no_reader(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)  # errors are always reported
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def _write_failure(descriptor: int) -> int | None:
    """The ``errno`` of writing a newline, or None."""
    try:
        os.write(descriptor, b"\n")
    except OSError as failure:
        return failure.errno
    return None


def _discard_output(descriptor: int) -> None:
    """Redirects to /dev/null, because the buffers are flushed again at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)
