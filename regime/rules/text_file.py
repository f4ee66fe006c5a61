"""Opens a text file of figures, gzipped or not."""

import csv
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO, cast

_NO_FIGURE = {"", ".", "NA", "N/A", "ND", "NULL"}  # of a spreadsheet, FRED, R, the ECB, the Federal Reserve, Yahoo


class TextFileError(ValueError):
    """A file that cannot be read to its end; the message says why."""


def is_no_figure(text: str) -> bool:
    """Whether ``text`` is what the usual sources write where they have no figure, in any letter case."""
    return text.strip().upper() in _NO_FIGURE


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
