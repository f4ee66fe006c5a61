"""Parsing of decimal numbers."""

import math
import re

_DECIMAL = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


def decimal_of(text: bytes) -> float | None:
    """The finite number in ``text``, else None: float() alone also accepts ``1_000``, ``nan`` and spaces."""
    number = float(text) if _DECIMAL.fullmatch(text) else math.nan
    return number if math.isfinite(number) else None
