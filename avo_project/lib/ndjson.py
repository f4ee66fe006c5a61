"""Reading of NDJSON, one JSON object per line, from a file or standard input."""

import sys
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


class UnreadableError(ValueError):
    """A file that cannot be opened; the message says why."""


@contextmanager
def open_source(name: str) -> Iterator[BinaryIO]:
    """Opens a file of bytes; ``-`` is standard input. Raises UnreadableError."""
    if name == "-":
        if sys.stdin is None:
            raise UnreadableError(
                "cannot read -: standard input is closed. Name a file, or pipe lines into the command."
            )
        yield sys.stdin.buffer
        return
    try:
        source = Path(name).open("rb")  # noqa: SIM115 - closed below; only opening may fail so
    except OSError as error:
        raise UnreadableError(f"cannot read {name}: {error.strerror}") from None
    with source:
        yield source


def numbered_lines(lines: Iterable[bytes], start: int = 1) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers. A byte order mark is removed from line 1."""
    for number, line in enumerate(lines, start):
        text = line.removeprefix(BOM_UTF8) if number == 1 else line
        if text.strip():
            yield number, text
