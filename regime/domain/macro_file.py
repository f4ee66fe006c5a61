"""Rows of a macro file, ``series_id,date,vintage,value``, plain or gzipped."""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from avo_project.lib.decimals import decimal_of
from regime.domain.macro_history import Observation
from regime.domain.prices import opened_text

COLUMNS = ["series_id", "date", "vintage", "value"]
_SERIES = re.compile(r"[!-~]{1,64}")


@dataclass(frozen=True, slots=True)
class MacroRow:
    series_id: str
    observation: Observation


class MacroFileError(ValueError):
    """A file that is no macro file, or a row that is none; the message says what is wrong."""


def is_series_id(text: str) -> bool:
    """Whether a series can have this name."""
    return _SERIES.fullmatch(text) is not None


def rows_of(path: Path, today: date) -> Iterator[tuple[int, MacroRow | MacroFileError]]:
    """(line number, row or what is wrong with it) for each line; nothing was published after ``today``. Raises
    MacroFileError for another header, TextFileError, OSError."""
    with opened_text(path) as lines:
        yield from rows_of_lines(lines, today)


def rows_of_lines(lines: Iterable[str], today: date) -> Iterator[tuple[int, MacroRow | MacroFileError]]:
    reader = csv.reader(lines)
    header = next(reader, [])
    if header != COLUMNS:
        raise MacroFileError(f"the first line must be {','.join(COLUMNS)}, not {','.join(header)[:80]!r}")
    for fields in reader:
        if fields:  # an empty line is nothing
            yield reader.line_num, _row(fields, today)


def _row(fields: list[str], today: date) -> MacroRow | MacroFileError:
    if len(fields) != len(COLUMNS):
        return MacroFileError(f"{len(fields)} columns instead of {len(COLUMNS)}")
    series_id, day, known, value = fields
    if not is_series_id(series_id):
        return MacroFileError("series_id must be 1 to 64 printable ASCII characters without space")
    number = decimal_of(value.strip().encode())
    if number is None:
        return MacroFileError(f"value must be a finite decimal number, not {value!r}")
    try:
        observation = Observation(date.fromisoformat(day), date.fromisoformat(known), number)
    except ValueError as error:
        return MacroFileError(str(error))
    if observation.vintage > today:
        return MacroFileError(f"vintage {observation.vintage} is in the future; nothing was published that day yet")
    return MacroRow(series_id, observation)
