"""Bulk operations on dead letters: show, redrive or remove the matching ones."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from signals_app.domain.entry import order
from signals_app.domain.names import check_range
from signals_app.store.dead_letters import DeadLetter, DeadLetters

Verb = Literal["show", "redrive", "remove"]
_PAGE = 500
_MAX_LETTERS = 1_000_000
_MIN_RATE, _MAX_RATE = 0.001, 1_000_000  # a second


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """An empty text means any; ``reason`` is a prefix. Raises ValueError for a ``limit`` out of range."""

    reason: str = ""
    symbol: str = ""
    limit: int = _MAX_LETTERS

    def __post_init__(self) -> None:
        check_range("--limit", self.limit, 0, _MAX_LETTERS)

    def matches(self, letter: DeadLetter) -> bool:
        return letter.reason.startswith(self.reason) and (not self.symbol or letter.shown("symbol") == self.symbol)


def matching_letters(letters: DeadLetters, wanted: LetterFilter) -> Iterator[DeadLetter]:
    """Matching letters, oldest first, without those that are added meanwhile."""
    newest = letters.newest_first(1)
    end = order(newest[0].letter_id) if newest else (0, 0)
    after, left = "0-0", wanted.limit
    while left and (page := letters.after(after, _PAGE)):
        for letter in page:
            if not left or order(letter.letter_id) > end:
                return
            if wanted.matches(letter):
                left -= 1
                yield letter
        after = page[-1].letter_id


class Redriver:
    """Applies one operation to the matching letters at up to ``max_per_second`` and counts them in ``done``.

    ``report(letter)`` is called for each; ``pause(seconds)`` waits and returns whether to stop. Raises ValueError for a
    rate out of range.
    """

    def __init__(
        self,
        letters: DeadLetters,
        *,
        max_per_second: float | None,
        report: Callable[[DeadLetter], object],
        pause: Callable[[float], bool],
    ) -> None:
        if max_per_second is not None:
            check_range("--max-per-second", max_per_second, _MIN_RATE, _MAX_RATE)
        self.done = 0
        self._letters = letters
        self._pause_seconds = 1 / max_per_second if max_per_second else 0.0
        self._report = report
        self._pause = pause

    def run(self, verb: Verb, wanted: LetterFilter) -> None:
        """Skips letters that were redriven or removed meanwhile. Raises StreamFullError."""
        for letter in matching_letters(self._letters, wanted):
            if self._do(verb, letter):
                self.done += 1
                self._report(letter)
            if self._pause_seconds and self._pause(self._pause_seconds):
                return

    def _do(self, verb: Verb, letter: DeadLetter) -> bool:
        if verb == "redrive":
            return self._letters.redrive(letter.letter_id) is not None
        return self._letters.remove(letter.letter_id) if verb == "remove" else True
