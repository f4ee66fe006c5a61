"""Reads states from NDJSON as they come; a bad line is told and skipped."""

from collections.abc import Callable, Iterable, Iterator

from avo_project.lib.ndjson import numbered_lines
from regime.rules.state import RegimeState
from regime.rules.state_line import BadLineError, state_of_line


class StateLines:
    """Iterates over the states in ``lines``. ``bad`` counts lines left out; ``on_bad`` hears the number and the why.

    ``clock`` gives Unix seconds. Empty lines are nothing.
    """

    def __init__(self, lines: Iterable[bytes], clock: Callable[[], float], on_bad: Callable[[int, str], None]) -> None:
        self._lines = lines
        self._clock = clock
        self._on_bad = on_bad
        self.bad = 0

    def __iter__(self) -> Iterator[RegimeState]:
        for number, line in numbered_lines(self._lines):
            try:
                yield state_of_line(line, self._clock())
            except BadLineError as error:
                self.bad += 1
                self._on_bad(number, str(error))
