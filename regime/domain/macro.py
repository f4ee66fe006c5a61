"""Macro series: observations in all vintages, what was known on a day, and the rows of a macro file.

A file has the columns ``series_id,date,vintage,value``, plain or gzipped.
"""

import csv
import datetime as dt
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from avo_project.lib.decimals import decimal_of
from regime.domain.prices import opened_text

COLUMNS = ["series_id", "date", "vintage", "value"]
_SERIES = re.compile(r"[!-~]{1,64}")


@dataclass(frozen=True, slots=True)
class Observation:
    """The value for the period ``date`` as published on ``vintage``."""

    date: dt.date
    vintage: dt.date
    value: float


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest value of a series and the value of the period before it, None if there is only one period.

    ``revised`` and ``previous_revised`` are True when an earlier vintage had another value for that period.
    """

    date: dt.date
    value: float
    vintage: dt.date
    revised: bool
    previous_date: dt.date | None
    previous_value: float | None
    previous_revised: bool | None
    change: float | None


@dataclass(frozen=True, slots=True)
class Period:
    """As known on ``vintage`` (default: now), from ``start`` to ``end``, both included."""

    vintage: dt.date | None = None
    start: dt.date | None = None
    end: dt.date | None = None


EVER = Period()


def as_known(history: Iterable[Observation], period: Period = EVER) -> list[Observation]:
    """By date the newest value that was published up to the period's vintage."""
    vintage, start, end = period.vintage, period.start, period.end
    known: dict[dt.date, Observation] = {}
    for one in history:
        held = known.get(one.date)
        if (vintage is None or one.vintage <= vintage) and (held is None or one.vintage > held.vintage):
            known[one.date] = one
    return [known[day] for day in sorted(known) if (start is None or day >= start) and (end is None or day <= end)]


def newest(history: Sequence[Observation]) -> Newest | None:
    """The newest value of a series, None without any."""
    known = as_known(history)
    if not known:
        return None
    last, before = known[-1], known[-2] if len(known) > 1 else None
    return Newest(
        date=last.date,
        value=last.value,
        vintage=last.vintage,
        revised=_is_revised(last, history),
        previous_date=before.date if before else None,
        previous_value=before.value if before else None,
        previous_revised=_is_revised(before, history) if before else None,
        change=round(last.value - before.value, 10) if before else None,
    )


def _is_revised(one: Observation, history: Iterable[Observation]) -> bool:
    return any(other.date == one.date and other.vintage < one.vintage and other.value != one.value for other in history)


@dataclass(frozen=True, slots=True)
class MacroRow:
    series_id: str
    observation: Observation


class MacroFileError(ValueError):
    """A file that is no macro file, or a row that is none; the message says what is wrong."""


def is_series_id(text: str) -> bool:
    """Whether a series can have this name."""
    return _SERIES.fullmatch(text) is not None


def rows_of(path: Path, today: dt.date) -> Iterator[tuple[int, MacroRow | MacroFileError]]:
    """(line number, row or what is wrong with it) for each line; nothing was published after ``today``. Raises
    MacroFileError for another header, TextFileError, OSError."""
    with opened_text(path) as lines:
        yield from rows_of_lines(lines, today)


def rows_of_lines(lines: Iterable[str], today: dt.date) -> Iterator[tuple[int, MacroRow | MacroFileError]]:
    reader = csv.reader(lines)
    header = next(reader, [])
    if header != COLUMNS:
        raise MacroFileError(f"the first line must be {','.join(COLUMNS)}, not {','.join(header)[:80]!r}")
    for fields in reader:
        if fields:  # an empty line is nothing
            yield reader.line_num, _row(fields, today)


def _row(fields: list[str], today: dt.date) -> MacroRow | MacroFileError:
    if len(fields) != len(COLUMNS):
        return MacroFileError(f"{len(fields)} columns instead of {len(COLUMNS)}")
    series_id, day, known, value = fields
    if not is_series_id(series_id):
        return MacroFileError("series_id must be 1 to 64 printable ASCII characters without space")
    number = decimal_of(value.strip().encode())
    if number is None:
        return MacroFileError(f"value must be a finite decimal number, not {value!r}")
    try:
        observation = Observation(dt.date.fromisoformat(day), dt.date.fromisoformat(known), number)
    except ValueError as error:
        return MacroFileError(str(error))
    if observation.vintage > today:
        return MacroFileError(f"vintage {observation.vintage} is in the future; nothing was published that day yet")
    return MacroRow(series_id, observation)
