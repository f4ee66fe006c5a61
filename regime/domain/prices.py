"""Daily closes read from CSV files, gzipped or not, with the line number of whatever is wrong.

A byte order mark, CRLF and quotes are fine; ``.``, ``ND``, ``NA``, ``N/A``, ``null`` and nothing stand for no close.
"""

import csv
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TextIO, cast

import numpy as np
from numpy.typing import NDArray

from avo_project.lib.decimals import decimal_of
from regime.domain.state import SymbolError, valid_symbol

_MISSING_VALUES = {"", ".", "NA", "N/A", "ND", "NULL"}  # of a spreadsheet, FRED, R, the ECB, the Federal Reserve, Yahoo


class TextFileError(ValueError):
    """A file that cannot be read to its end; the message says why."""


def is_missing_value(text: str) -> bool:
    """Whether ``text`` is what the usual sources write where they have no figure, in any letter case."""
    return text.strip().upper() in _MISSING_VALUES


@contextmanager
def opened_text(path: Path) -> Iterator[TextIO]:
    """UTF-8 text of ``path``, unpacked when its name ends in .gz. Raises OSError, and TextFileError in the block."""
    try:
        with _open(path) as text:
            yield text
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise TextFileError(f"it is cut short or damaged ({error}); fetch it again") from error
    except UnicodeDecodeError as error:
        raise TextFileError(f"it is no UTF-8 text ({error})") from error
    except csv.Error as error:
        raise TextFileError(f"it is no CSV ({error})") from error


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return cast(TextIO, gzip.open(path, "rt", encoding="utf-8-sig", newline=""))
    return path.open(encoding="utf-8-sig", newline="")


ECB_SAMPLE = Path(__file__).parent.parent / "sample_data" / "ecb_fx_daily.csv.gz"


class PriceFileError(ValueError):
    """A file without usable closes; the message says what is wrong and where."""


@dataclass(frozen=True, slots=True, eq=False)
class Closes:
    """``table`` is (days, symbols) float64, oldest day first, NaN where there is no close."""

    symbols: tuple[str, ...]
    days: tuple[date, ...]
    table: NDArray[np.float64]

    def last_days(self) -> list[date | None]:
        """The day of the last close of each symbol, None where there is none. A close of zero is none."""
        is_known = np.nan_to_num(self.table[::-1]) > 0.0
        indexes = np.where(is_known.any(axis=0), is_known.argmax(axis=0), -1).tolist()
        return [None if index < 0 else self.days[-1 - index] for index in indexes]

    def up_to(self, as_of: date) -> "Closes":
        """The rows up to and with that day."""
        count = sum(day <= as_of for day in self.days)
        return Closes(self.symbols, self.days[:count], self.table[:count])


def read_closes(path: Path, today: date = date.max) -> Closes:
    """All closes of a file, gzipped or not. Raises PriceFileError, also for a row after ``today``, TextFileError,
    OSError."""
    with opened_text(path) as lines:
        reader = csv.reader(lines)
        symbols = _symbols(next(reader, []))
        rows = [(reader.line_num, fields) for fields in reader if fields]
    if not rows:
        raise PriceFileError("there is no row of closes below the header")
    days = _days(rows, len(symbols), today)
    table = np.array([[_close(number, text) for text in fields[1:]] for number, fields in rows], dtype=np.float64)
    order = np.argsort(np.array(days, dtype="datetime64[D]"), kind="stable")
    return Closes(symbols, tuple(days[index] for index in order), table[order])


def read_euro_pairs(path: Path = ECB_SAMPLE) -> Closes:
    """The ECB's reference rates, units of a currency per euro, as closes of the pairs ``EURUSD=X`` and so on."""
    rates = read_closes(path)
    return Closes(tuple(f"EUR{currency}=X" for currency in rates.symbols), rates.days, rates.table)


def _symbols(header: list[str]) -> tuple[str, ...]:
    if len(header) < 2 or header[0].strip().lower() != "date":
        raise PriceFileError("the first line must be date, then one symbol a column")
    try:
        symbols = tuple(valid_symbol(name.strip()) for name in header[1:])
    except SymbolError as error:
        raise PriceFileError(f"line 1: {error}") from error
    if len(set(symbols)) < len(symbols):
        raise PriceFileError("line 1: a symbol stands there twice")
    return symbols


def _days(rows: list[tuple[int, list[str]]], symbols: int, today: date) -> list[date]:
    lines: dict[date, int] = {}  # the line of each day
    for number, fields in rows:
        day = _day(number, fields, symbols)
        if day in lines:
            raise PriceFileError(f"line {number}: {day} stands on line {lines[day]} already; keep one row a day")
        if day > today:
            raise PriceFileError(f"line {number}: {day} is in the future; there is no close of that day yet")
        lines[day] = number
    return list(lines)


def _day(number: int, fields: list[str], symbols: int) -> date:
    if len(fields) != symbols + 1:
        raise PriceFileError(f"line {number}: {len(fields)} columns instead of {symbols + 1}")
    try:
        return date.fromisoformat(fields[0].strip())
    except ValueError as error:
        raise PriceFileError(f"line {number}: {error}") from error


def _close(number: int, text: str) -> float:
    if is_missing_value(text):
        return np.nan
    close = decimal_of(text.strip().encode())
    if close is None or close < 0.0:
        raise PriceFileError(f"line {number}: {text!r} is no close; leave it empty where there is none")
    return close
