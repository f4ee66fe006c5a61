"""Parses what one read brought, all at once: nearly all entries are alike, so C loops over them and not Python."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from itertools import chain, repeat
from typing import Any

from signals_app.rules.event import (
    KNOWN_VALUES,
    MAX_BYTES,
    NO_EXTRA,
    TIME_VALUE,
    BadEventError,
    Event,
    Layout,
    layout_of,
    parse_entry,
)

_new_event = partial(tuple.__new__, Event)
Flat = Sequence[bytes]
"""The fields of an entry as the server sends them: field, value, field, value …"""


def parse_batch(rows: Sequence[Flat]) -> list[Event | BadEventError]:
    """For each row its event, or the reason why it is none."""
    return _parse_alike(rows) or [_parse_alone(row) for row in rows]


def _parse_alone(row: Flat) -> Event | BadEventError:
    try:
        return parse_entry(dict(zip(row[::2], row[1::2], strict=True)))
    except BadEventError as bad:
        return bad


def _parse_alike(rows: Sequence[Flat]) -> list[Any]:
    """The events of rows that all have the same fields in the usual order and form; else nothing."""
    if len(set(map(len, rows))) != 1:
        return []
    flat = list(chain.from_iterable(rows))
    names = tuple(rows[0][::2])
    if tuple(flat[::2]) != names * len(rows):
        return []
    try:
        layout = layout_of(names)
        text = b"\0".join(flat[1::2]).decode()
    except (BadEventError, UnicodeDecodeError):
        return []
    pattern = _pattern(layout)
    if pattern is None or pattern.fullmatch(text) is None:
        return []
    values = text.split("\0")
    if len(values) != len(names) * len(rows) or (layout.extra and len(text) > MAX_BYTES):
        return []
    return list(map(_new_event, _columns(layout, values)))


def _columns(layout: Layout, values: list[str]) -> Iterable[tuple[object, ...]]:
    width = len(layout.names)
    columns = [values[place::width] for place in range(width)]
    times: Iterable[int | None] = map(int, columns[4]) if layout.has_time else repeat(None)
    extra_columns = columns[width - len(layout.extra) :] if layout.extra else []
    extras: Iterable[Any] = (
        [dict(zip(layout.extra, row, strict=True)) for row in zip(*extra_columns, strict=True)]
        if extra_columns else repeat(NO_EXTRA)
    )  # fmt: skip
    return zip(columns[0], columns[1], columns[2], map(float, columns[3]), times, extras, strict=False)


@lru_cache(maxsize=128)
def _pattern(layout: Layout) -> re.Pattern[str] | None:
    """One row after the other; possessive, since a row can be read in one way only."""
    if layout.pattern is None:
        return None
    row = KNOWN_VALUES + (TIME_VALUE if layout.has_time else "") + r"\0[^\0]*" * len(layout.extra)
    return re.compile(f"{row}(?:\\0{row})*+")
