"""Stream entries: the id as an order and a time, and the raw fields."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Entry:
    entry_id: str
    fields: Mapping[bytes, bytes]


MAX_PART = 2**64 - 1
END = f"{MAX_PART}-0"
"""Position of a finished replay group: it gets no new entries and holds back no trim."""
LAST = f"{MAX_PART}-{MAX_PART}"
"""The largest possible id: a stream that contains it is exhausted."""
_FIRST, _LAST = (0, 0), (MAX_PART, MAX_PART)

_ENTRY_ID = re.compile(r"(\d{1,20})(?:-(\d{1,20}))?", re.ASCII)


def order(entry_id: str) -> tuple[int, int]:
    """Sort key of an entry id. Raises ValueError for an invalid id."""
    match = _ENTRY_ID.fullmatch(entry_id)
    if match is None:
        raise ValueError(f"{entry_id!r} is not an entry id such as 1790000000000-0")
    milliseconds, sequence = int(match[1]), int(match[2] or 0)
    if max(milliseconds, sequence) > MAX_PART:
        raise ValueError(f"{entry_id!r} is beyond the largest entry id")
    return milliseconds, sequence


def is_lowest(entry_id: str) -> bool:
    """Whether it is the lowest id, which Redis refuses as an exclusive end. Raises ValueError for an invalid id."""
    return order(entry_id) == _FIRST


def is_highest(entry_id: str) -> bool:
    """Whether it is the highest id, which Redis refuses as an exclusive start. Raises ValueError for an invalid id."""
    return order(entry_id) == _LAST


def age_seconds(entry_id: str, now_ms: int) -> float:
    """Age of the entry, 0 for an id in the future."""
    return max(0.0, (now_ms - order(entry_id)[0]) / 1000)


def just_before(entry_id: str) -> str:
    """The id directly below: a group created there starts with ``entry_id``. ``0-0`` is unchanged."""
    milliseconds, sequence = order(entry_id)
    if sequence:
        return f"{milliseconds}-{sequence - 1}"
    return f"{milliseconds - 1}-{MAX_PART}" if milliseconds else "0-0"


def parse_bound(text: str, *, is_last: bool) -> str:
    """The entry id for an id or an ISO 8601 time (UTC by default).

    A time, or an id without a sequence, includes the whole millisecond. Raises ValueError with the expected format.
    """
    if match := _ENTRY_ID.fullmatch(text):
        milliseconds, sequence = order(text)
        return f"{milliseconds}-{MAX_PART if is_last and match[2] is None else sequence}"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither an entry id nor a time such as 2026-11-23T08:00:00Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    milliseconds = int(moment.timestamp() * 1000)
    if milliseconds < 0:
        raise ValueError(f"{text!r} is before 1970, when no entry was added")
    return f"{milliseconds}-{MAX_PART if is_last else 0}"
