"""The macro tables: loaded in batches, read a series at a time."""

from collections.abc import Iterable, Iterator
from itertools import islice

from django.db import transaction
from django.db.models import F, Window
from django.db.models.functions import DenseRank

from regime.models import MacroObservation, MacroSeries
from regime.rules.macro_file import MacroRow
from regime.rules.macro_history import Observation

_ROWS_A_BATCH = 2_000


def load_rows(rows: Iterable[MacroRow]) -> int:
    """Adds rows, or corrects those that are there under the same series, date and vintage; all of them or none.

    Returns how many rows were given.
    """
    count = 0
    with transaction.atomic():
        for batch in _batches(iter(rows)):
            count += len(batch)
            # Of rows that repeat one key only the last counts: one statement may not touch a row twice.
            unique = {(row.series_id, row.observation.date, row.observation.vintage): row for row in batch}
            _save(list(unique.values()))
    return count


def _save(rows: list[MacroRow]) -> None:
    MacroSeries.objects.bulk_create(
        (MacroSeries(id=name) for name in {row.series_id for row in rows}), ignore_conflicts=True
    )
    MacroObservation.objects.bulk_create(
        (
            MacroObservation(
                series_id=row.series_id,
                date=row.observation.date,
                vintage=row.observation.vintage,
                value=row.observation.value,
            )
            for row in rows
        ),
        update_conflicts=True,
        unique_fields=["series", "date", "vintage"],
        update_fields=["value"],
    )


def _batches(rows: Iterator[MacroRow]) -> Iterator[list[MacroRow]]:
    while batch := list(islice(rows, _ROWS_A_BATCH)):
        yield batch


def series_exists(series_id: str) -> bool:
    return MacroSeries.objects.filter(pk=series_id).exists()


def history_of(series_id: str) -> list[Observation] | None:
    """All observations of a series in all vintages, by date and vintage; None when there is no such series."""
    rows = MacroObservation.objects.filter(series=series_id).order_by("date", "vintage")
    history = [Observation(*row) for row in rows.values_list("date", "vintage", "value")]
    return history if history or series_exists(series_id) else None


def last_periods(periods: int) -> dict[str, list[Observation]]:
    """By series the observations, in all vintages, of its newest ``periods`` dates."""
    age = Window(DenseRank(), partition_by="series", order_by=F("date").desc())
    rows = MacroObservation.objects.annotate(age=age).filter(age__lte=periods).order_by("series", "date", "vintage")
    found: dict[str, list[Observation]] = {}
    for series_id, date, vintage, value in rows.values_list("series", "date", "vintage", "value"):
        found.setdefault(series_id, []).append(Observation(date, vintage, value))
    return found
