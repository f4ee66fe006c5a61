"""Loads a macro file: every vintage is kept, and loading it again changes nothing."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from avo_project.store_failures import REDIS_FAILURES
from regime.roles.macro_table import load_rows
from regime.rules.macro_file import MacroFileError, MacroRow, rows_of
from regime.store.answer_cache import AnswerCache

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class LoadReport:
    """``is_announced`` is False when the kept answers could not be told that the data has changed."""

    rows: int = 0
    bad: int = 0
    is_announced: bool = True


def load_macro_file(path: Path, today: date, on_bad: Callable[[int, str], None]) -> LoadReport:
    """Loads the good rows of ``path``; each bad one, also of a vintage after ``today``, is told to ``on_bad`` with its
    line number.

    Raises MacroFileError, TextFileError, OSError, and then nothing is loaded.
    """
    report = LoadReport()

    def good_rows() -> Iterator[MacroRow]:
        for number, row in rows_of(path, today):
            if isinstance(row, MacroFileError):
                report.bad += 1
                on_bad(number, str(row))
            else:
                yield row

    report.rows = load_rows(good_rows())
    report.is_announced = _announced()
    return report


def _announced() -> bool:
    try:
        AnswerCache.connect().outdate()
    except REDIS_FAILURES as failure:
        logger.info("the kept macro answers were not outdated: %s", failure)
        return False
    return True
