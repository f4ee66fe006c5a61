"""What a command does when the reader of its output has gone, such as ``head`` that has seen enough."""

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

EXIT_STATUS = 128 + signal.SIGPIPE  # what a shell says of a program that the signal ended
_STDOUT, _STDERR = 1, 2


@contextmanager
def exit_on_closed_pipe() -> Iterator[None]:
    """Ends the process quietly, with exit status 141, when standard output or error is a pipe that nobody reads.

    A BrokenPipeError of any other pipe or socket is raised on. The signal SIGPIPE stays off, since it would end the
    process for those too.
    """
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:  # it is when the process was started with it closed
                sys.stdout.flush()  # here, since the interpreter's own flush at exit cannot be caught
    except BrokenPipeError:
        closed = [descriptor for descriptor in (_STDOUT, _STDERR) if _has_no_reader(descriptor)]
        if not closed:
            raise
        for descriptor in closed:
            _discard_output(descriptor)
        sys.exit(EXIT_STATUS)


def _has_no_reader(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)  # errors are reported unasked
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def _discard_output(descriptor: int) -> None:
    """What is left in the buffers is flushed at exit once more."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)
