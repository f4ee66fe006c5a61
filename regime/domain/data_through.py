"""The end of the data behind a state: an ISO date or Unix seconds, as the text that Redis stores.

``b""`` stands for a state without it. A date reaches to its end, in UTC.
"""

import re
from datetime import UTC, date, datetime

import numpy as np
from numpy.typing import NDArray

from avo_project.lib.decimals import decimal_of

_DAY_SECONDS = 86_400

OLD_DAYS = 4  # a long weekend is no cause for alarm
OLD_SECONDS = OLD_DAYS * _DAY_SECONDS

_AHEAD_SECONDS = 2 * _DAY_SECONDS  # the end of tomorrow
_LAST_SECOND = 10**11  # beyond it stand milliseconds
_LONGEST = 32
_DATE = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def known_data_through(text: bytes | None) -> bytes:
    """``text`` as we write it: an ISO date, or Unix seconds as plain decimals. ``b""`` when it is neither."""
    if text is None or len(text) > _LONGEST:
        return b""
    if _DATE.fullmatch(text):
        return text if _day_of(text) else b""
    seconds = decimal_of(text)
    if seconds is None or not 1 <= seconds < _LAST_SECOND:
        return b""
    return b"%d" % seconds if seconds.is_integer() else repr(seconds).encode()


def data_through_value(known: bytes) -> str | int | float | None:
    """The same as JSON has it."""
    if not known:
        return None
    if b"-" in known:
        return known.decode()
    return float(known) if b"." in known else int(known)


def data_end(known: bytes) -> float:
    """When the data ends, in Unix seconds; NaN where nothing says so."""
    value = data_through_value(known)
    if value is None:
        return float("nan")
    if isinstance(value, str):
        return datetime.combine(date.fromisoformat(value), datetime.min.time(), UTC).timestamp() + _DAY_SECONDS
    return float(value)


def data_age(known: bytes, now: float) -> float | None:
    """How old the data is at ``now`` (Unix seconds), 0 or more. None where nothing says so, or nothing that can be:
    data of a day that is still to come."""
    age_seconds = now - data_end(known)
    return max(0.0, age_seconds) if age_seconds >= -_AHEAD_SECONDS else None


def data_ends(known: NDArray[np.bytes_]) -> NDArray[np.float64]:
    """``data_end`` of many, which are few different ones as a rule."""
    if len(known) and (known == known[0]).all():
        return np.full(len(known), data_end(bytes(known[0])))
    texts = known.tolist()
    ends = {text: data_end(text) for text in set(texts)}
    return np.array([ends[text] for text in texts], dtype=np.float64)


def are_young(ends: NDArray[np.float64], now: float, max_age: float) -> NDArray[np.bool_]:
    """Whether the age of data that ends then is known at ``now`` and at most ``max_age``: ``data_age`` for many."""
    return (ends >= now - max_age) & (ends <= now + _AHEAD_SECONDS)


def _day_of(text: bytes) -> date | None:
    try:
        return date.fromisoformat(text.decode())
    except ValueError:
        return None
