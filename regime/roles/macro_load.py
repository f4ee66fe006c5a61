"""Loads a macro file: every vintage is kept, and loading it again changes nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from regime.roles.macro_table import load_rows
from regime.rules.macro_file import MacroFileError, MacroRow, rows_of
from regime.store.answer_cache import AnswerCache


@dataclass(slots=True)
class LoadReport:
    rows: int = 0
    bad: int = 0


def load_macro_file(path: Path, on_bad: Callable[[int, str], None]) -> LoadReport:
    """Loads the good rows of ``path``; each bad one is told to ``on_bad`` with its line number.

    Raises MacroFileError, OSError, EOFError, UnicodeDecodeError, and then nothing is loaded.
    """
    report = LoadReport()

    def good_rows() -> Iterator[MacroRow]:
        for number, row in rows_of(path):
            if isinstance(row, MacroFileError):
                report.bad += 1
                on_bad(number, str(row))
            else:
                yield row

    report.rows = load_rows(good_rows())
    AnswerCache.connect().outdate()
    return report
