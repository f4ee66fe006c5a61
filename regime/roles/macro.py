"""Macro answers: made from the database by one process, kept for all, and served a while longer when it fails."""

import logging
import threading
from collections.abc import Callable
from datetime import date
from typing import Any, Self

import orjson
from django.db import DatabaseError
from redis.exceptions import RedisError

from regime.roles.macro_table import history_of, last_periods, series_exists
from regime.rules.macro_history import Newest, Observation, Period, as_known, newest
from regime.store.answer_cache import AnswerCache, KeptAnswer, Taken

_REMEMBERED = 64

logger = logging.getLogger(__name__)


class Macro:
    """The newest value of every series, and the history of one. ``now`` is always in Unix seconds."""

    def __init__(self, cache: AnswerCache) -> None:
        self._cache = cache
        self._making = threading.Lock()
        self._read: dict[tuple[str, Period], tuple[bytes, bytes | None]] = {}  # by question: history and answer

    @classmethod
    def connect(cls) -> Self:
        return cls(AnswerCache.connect())

    def newest_of_all(self, now: float) -> bytes:
        """JSON of the newest value of every series. Raises DatabaseError when nothing is kept either."""
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
                logger.warning("the kept history of %s cannot be read and is made anew: %s", series_id, error)
                read = _series(series_id, orjson.loads(_history(series_id)), period)
            while len(self._read) >= _REMEMBERED:
                self._read.pop(next(iter(self._read)), None)
            self._read[series_id, period] = history, read
        return read

    def _is_known(self, series_id: str) -> bool:
        """Asked before anything is kept under the name, since a caller may ask for any; True while nobody can tell."""
        try:
            return self._cache.holds(_name(series_id)) or series_exists(series_id)
        except DatabaseError:
            return True

    def _answer(self, name: str, now: float, make: Callable[[], bytes]) -> bytes:
        try:
            taken = self._cache.take(name, now)
        except RedisError as failure:
            logger.warning("macro answers are not kept: %s", failure)
            return make()
        if taken.must_make:
            return self._made(name, taken, now, make)
        return self._made_by_another(name, now, make) if taken.kept is None else taken.kept.body

    def _made_by_another(self, name: str, now: float, make: Callable[[], bytes]) -> bytes:
        with self._making:  # a thread of this process may be the one that makes it
            kept = self._cache.take(name, now).kept
        return make() if kept is None else kept.body

    def _made(self, name: str, taken: Taken, now: float, make: Callable[[], bytes]) -> bytes:
        try:
            with self._making:
                body = make()
                self._keep(name, KeptAnswer(body, now, taken.generation))
        except DatabaseError as failure:
            if taken.kept is None:
                raise
            logger.warning("the database fails, so an old macro answer is served: %s", failure)
            return taken.kept.body
        return body

    def _keep(self, name: str, made: KeptAnswer) -> None:
        try:
            self._cache.put(name, made)
        except RedisError as failure:
            logger.warning("macro answer not kept: %s", failure)


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
