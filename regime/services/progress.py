"""A progress bar on a terminal, nothing elsewhere, and a rate at the end."""

import time
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

_SHOWN_EVERY = 500


class Progress:
    """Counts ``what`` (plural) as they are done; ``total`` None for an unknown end."""

    def __init__(self, what: str, stream: TextIO, total: int | None = None) -> None:
        self._what = what
        self._count = self._shown = 0
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = RichProgress(*columns, console=Console(file=stream), transient=True, disable=not stream.isatty())
        self._task = self._bar.add_task(what, total=total)

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        self._seconds = time.monotonic() - self._started

    def advance(self, count: int = 1) -> None:
        self._count += count
        if self._count - self._shown >= _SHOWN_EVERY:
            self._shown = self._count
            self._bar.update(self._task, completed=self._count)

    def summary(self) -> str:
        """How long it took and how many a second, once it is over."""
        rate = self._count / self._seconds if self._seconds else 0.0
        return f"seconds={self._seconds:.2f} {self._what}_per_second={rate:.0f}"
