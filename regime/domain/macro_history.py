"""What was known of a macro series, and when: pure rules over its observations in all vintages."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Observation:
    """The value for the period ``date`` as published on ``vintage``."""

    date: dt.date
    vintage: dt.date
    value: float


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest value of a series beside the one for the period before; None where there is only one period.

    ``revised`` and ``previous_revised`` tell whether an earlier vintage had another value for that period.
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
