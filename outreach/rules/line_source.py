"""Where a command reads its lines from."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


class UnreadableError(ValueError):
    """A file that cannot be opened; the message says why."""


@contextmanager
def open_lines(name: str) -> Iterator[BinaryIO]:
    """The file's bytes, line by line; ``-`` is standard input. Raises UnreadableError."""
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        source = Path(name).open("rb")  # noqa: SIM115 - closed below; only opening may fail so
    except OSError as error:
        raise UnreadableError(f"cannot read {name}: {error.strerror}") from None
    with source:
        yield source
