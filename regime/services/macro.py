"""Macro series: loading files into the tables, and answering one or all of them from cached bytes."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any, Self

import orjson
from django.db import DatabaseError, transaction
from django.db.models import F, Window
from django.db.models.functions import DenseRank
from redis.exceptions import RedisError

from avo_project.lib.bounded_dict import BoundedDict
from avo_project.redis_client.errors import REDIS_FAILURES
from regime.domain.macro import MacroFileError, MacroRow, Newest, Observation, Period, as_known, newest, rows_of
from regime.models import MacroObservation, MacroSeries
from regime.store.answer_cache import AnswerCache, CachedAnswer, CacheLookup

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
    for series_id, day, vintage, value in rows.values_list("series", "date", "vintage", "value"):
        found.setdefault(series_id, []).append(Observation(day, vintage, value))
    return found


logger = logging.getLogger(__name__)


@dataclass(slots=True)
class LoadReport:
    """``is_announced`` is False when the cached answers could not be invalidated."""

    rows: int = 0
    bad: int = 0
    is_announced: bool = True


def load_macro_file(path: Path, today: date, on_bad: Callable[[int, str], None]) -> LoadReport:
    """Loads the valid rows of ``path``. Calls ``on_bad`` with line number and reason for each invalid row, also for a
    vintage after ``today``.

    Raises MacroFileError, TextFileError, OSError, and then nothing is loaded.
    """
    report = LoadReport()

    def good_rows() -> Iterator[MacroRow]:
        for number, row in rows_of(path, today):
            if isinstance(row, MacroFileError):
                report.bad += 1
                on_bad(number, str(row))
            else:
                yield row

    report.rows = load_rows(good_rows())
    report.is_announced = _announced()
    return report


def _announced() -> bool:
    try:
        AnswerCache.connect().invalidate()
    except REDIS_FAILURES as failure:
        logger.info("cached macro answers not invalidated: %s", failure)
        return False
    return True


_REMEMBERED = 64


class Macro:
    """The newest value of every series, and the history of one. ``now`` is always in Unix seconds."""

    def __init__(self, cache: AnswerCache) -> None:
        self._cache = cache
        self._making = threading.Lock()
        self._read: BoundedDict[tuple[str, Period], tuple[bytes, bytes | None]] = BoundedDict(_REMEMBERED)

    @classmethod
    def connect(cls) -> Self:
        return cls(AnswerCache.connect())

    def newest_of_all(self, now: float) -> bytes:
        """JSON of the newest value of every series. Raises DatabaseError when nothing is cached either."""
        return self._answer("newest", now, _newest_of_all)

    def series(self, series_id: str, period: Period, now: float) -> bytes | None:
        """JSON of one series as known then, None when there is no such series. Raises DatabaseError."""
        if not self._is_known(series_id):
            return None
        history = self._answer(_name(series_id), now, lambda: _history(series_id))
        read_from, read = self._read.get((series_id, period), (b"", None))
        if read_from is not history:
            try:
                read = _series(series_id, orjson.loads(history), period)
            except (ValueError, TypeError) as error:
                logger.warning("cached history of %s is unreadable and rebuilt: %s", series_id, error)
                read = _series(series_id, orjson.loads(_history(series_id)), period)
            self._read[series_id, period] = history, read
        return read

    def _is_known(self, series_id: str) -> bool:
        """Checked before anything is cached, since callers choose the name. True while the database is down."""
        try:
            return self._cache.holds(_name(series_id)) or series_exists(series_id)
        except DatabaseError:
            return True

    def _answer(self, name: str, now: float, make: Callable[[], bytes]) -> bytes:
        try:
            taken = self._cache.take(name, now)
        except RedisError as failure:
            logger.warning("macro answers not cached: %s", failure)
            return make()
        if taken.must_build:
            return self._made(name, taken, now, make)
        return self._made_by_another(name, now, make) if taken.cached is None else taken.cached.body

    def _made_by_another(self, name: str, now: float, make: Callable[[], bytes]) -> bytes:
        with self._making:  # a thread of this process may be the one that makes it
            cached = self._cache.take(name, now).cached
        return make() if cached is None else cached.body

    def _made(self, name: str, taken: CacheLookup, now: float, make: Callable[[], bytes]) -> bytes:
        try:
            with self._making:
                body = make()
                self._keep(name, CachedAnswer(body, now, taken.generation))
        except DatabaseError as failure:
            if taken.cached is None:
                raise
            logger.warning("database unavailable, serving a stale macro answer: %s", failure)
            return taken.cached.body
        return body

    def _keep(self, name: str, made: CachedAnswer) -> None:
        try:
            self._cache.put(name, made)
        except RedisError as failure:
            logger.warning("macro answer not cached: %s", failure)


def _name(series_id: str) -> str:
    return f"series:{series_id}"


def _newest_of_all() -> bytes:
    found = ((series_id, newest(history)) for series_id, history in last_periods(2).items())
    results = [{"series_id": series_id, **_fields(one)} for series_id, one in found if one is not None]
    return orjson.dumps({"count": len(results), "results": results})


def _fields(one: Newest) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Newest.__slots__}


def _history(series_id: str) -> bytes:
    history = history_of(series_id)
    return orjson.dumps(None if history is None else [[one.date, one.vintage, one.value] for one in history])


def _series(series_id: str, history: list[list[Any]] | None, period: Period) -> bytes | None:
    if history is None:
        return None
    observations = as_known((Observation(_day(day), _day(known), value) for day, known, value in history), period)
    return orjson.dumps(
        {
            "series_id": series_id,
            "vintage": max((one.vintage for one in observations), default=None),
            "count": len(observations),
            "observations": observations,
        }
    )


_day = date.fromisoformat
