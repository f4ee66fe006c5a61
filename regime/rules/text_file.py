"""Opens a text file, gzipped or not."""

import gzip
from pathlib import Path
from typing import TextIO, cast


def open_text(path: Path) -> TextIO:
    """UTF-8 text of ``path``, unpacked when its name ends in .gz. Raises OSError."""
    if path.suffix == ".gz":
        return cast(TextIO, gzip.open(path, "rt", encoding="utf-8", newline=""))
    return path.open(encoding="utf-8-sig", newline="")
