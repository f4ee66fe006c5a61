"""How old a state and its data are, and whether the state may be served as current. Every reader uses these rules.

``data_through`` is the end of the data behind a state: an ISO date, which reaches to its end in UTC, or Unix seconds,
as the text that Redis stores. ``b""`` stands for a state without it.
"""

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from avo_project.lib.decimals import decimal_of

LIFE_SECONDS = 86_400
FUTURE_TOLERANCE_SECONDS = 300

_DAY_SECONDS = 86_400
OLD_DAYS = 4  # a long weekend is no cause for alarm
OLD_SECONDS = OLD_DAYS * _DAY_SECONDS

_AHEAD_SECONDS = 2 * _DAY_SECONDS  # the end of tomorrow
_LAST_SECOND = 10**11  # beyond it stand milliseconds
_LONGEST = 32
_DATE = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Freshness(Enum):
    CURRENT = "current"
    EXPIRED = "expired"
    UNKNOWN_AGE = "unknown age"
    FUTURE_STAMP = "future stamp"


@dataclass(frozen=True, slots=True)
class Classification:
    """The freshness of one state. ``computed_at`` and ``expires_at`` are Unix seconds; all but ``freshness``
    are None when the age is unknown."""

    freshness: Freshness
    computed_at: float | None = None
    age_seconds: float | None = None
    expires_at: float | None = None

    @property
    def is_current(self) -> bool:
        return self.freshness is Freshness.CURRENT


def classify(stamp: float | None, expires_at: float | None, backfilled_at: float | None, now: float) -> Classification:
    """The freshness of a state at ``now`` by its age (docs/keys.md). All in Unix seconds; the arguments are fields of
    StoredState, whose method calls this."""
    computed_at = known_computed_at(stamp, expires_at, backfilled_at)
    if computed_at is None:
        return Classification(Freshness.UNKNOWN_AGE)
    ends = computed_at + LIFE_SECONDS
    expires_at = ends if expires_at is None else min(ends, expires_at)
    return Classification(freshness_at(computed_at, now), computed_at, max(0.0, now - computed_at), expires_at)


def known_computed_at(computed_at: float | None, expires_at: float | None, backfilled_at: float | None) -> float | None:
    """When the state was computed: by its stamp or, without one, by its expiry, unless the backfill set that."""
    if computed_at is not None:
        return None if math.isnan(computed_at) else computed_at
    if expires_at is None or is_from_backfill(expires_at, backfilled_at):
        return None
    return expires_at - LIFE_SECONDS


def is_from_backfill(expires_at: float, backfilled_at: float | None) -> bool:
    """Whether the expiry is the one that the backfill gave: a full life from ``backfilled_at``, to the millisecond."""
    if backfilled_at is None:
        return False
    return math.isnan(backfilled_at) or abs(expires_at - LIFE_SECONDS - backfilled_at) < 0.0015


def freshness_at(computed_at: float, now: float) -> Freshness:
    """The freshness of a state of known age; both times in Unix seconds."""
    age_seconds = now - computed_at
    if age_seconds < -FUTURE_TOLERANCE_SECONDS:
        return Freshness.FUTURE_STAMP
    return Freshness.CURRENT if age_seconds < LIFE_SECONDS else Freshness.EXPIRED


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
