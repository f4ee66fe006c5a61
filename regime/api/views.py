"""The HTTP routes of regime states, the collection and macro series."""

import logging
import math
import time
from functools import cache

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from avo_project.http.problems import Problem
from regime.api import schema
from regime.api.query_params import MaxAges, checked_symbol, max_ages_of, no_params, period_of, query_of
from regime.conf import RegimeConf, regime_conf
from regime.domain.cursor import Cursor
from regime.domain.data_through import data_age, data_through_value
from regime.domain.freshness import Freshness, Judgement, judge
from regime.domain.macro import is_series_id
from regime.domain.state import StoredState
from regime.metrics import BAD_FIELDS, NOT_CURRENT
from regime.services.answers import CollectionAnswers, MacroAnswers, state_answer
from regime.services.collection import Collection, CollectionMissingError, Version
from regime.services.macro import Macro
from regime.services.representation import answer
from regime.store.state_cache import StateCache

# Other programs may change a state at any time, so a cached copy must always be revalidated.
_CONFIRM = "private, no-cache"
_MACRO_MAX_AGE_SECONDS = 60

_WHY = {
    Freshness.EXPIRED: "24 hours old or older",
    Freshness.UNKNOWN_AGE: "of unknown age",
    Freshness.FUTURE_STAMP: "stamped in the future",
}

logger = logging.getLogger(__name__)

# One of each for the whole process: they hold the registered scripts and the loaded collection.
connected_states = cache(StateCache.connect)
connected_collection = cache(Collection.connect)
collection_answers = cache(CollectionAnswers)


connected_macro = cache(Macro.connect)
macro_answers = cache(MacroAnswers)


@cache
def conf() -> RegimeConf:
    return regime_conf()


class RegimeStateView(APIView):
    @schema.STATE
    def get(self, request: Request, symbol: str) -> HttpResponse:
        """The current regime state of one symbol."""
        symbol = checked_symbol(symbol)
        max_ages = max_ages_of(request.query_params)
        state = connected_states().get(symbol)
        if state is None:
            raise _missing(symbol)
        now = time.time()
        judgement = judge(state, now)
        _refuse_stale(state, judgement, max_ages.state)
        if max_ages.data is not None:
            _refuse_old_data(state, judgement, max_ages.data, now)
        if state.bad_fields:
            BAD_FIELDS.inc(state.bad_fields)
        return answer(request, state_answer(state, judgement), _CONFIRM, _confirm_seconds(max_ages))


class RegimeCollectionView(APIView):
    @schema.COLLECTION
    def get(self, request: Request) -> HttpResponse:
        """A summary of all current states and one page of them. Costs one unit plus one for every 100 kB of the
        response, about 900 rows."""
        query, cursor = query_of(request.query_params)
        now = time.time()
        version = _version(cursor, now)
        given = collection_answers().answer(version, query, cursor.position if cursor else None, now)
        return answer(request, given, _CONFIRM, conf().confirm_seconds if query.max_data_age is None else 0)


class MacroView(APIView):
    @schema.MACRO
    def get(self, request: Request) -> HttpResponse:
        """The newest value of every macro series with the previous one."""
        no_params(request.query_params)
        body = connected_macro().newest_of_all(time.time())
        return answer(request, macro_answers().answer(None, body), _macro_cache_control())


class MacroSeriesView(APIView):
    @schema.MACRO_SERIES
    def get(self, request: Request, series_id: str) -> HttpResponse:
        """The observations of one macro series, current or as known on an earlier day. Costs one unit plus one for
        every 100 kB of the response."""
        period = period_of(request.query_params)
        # Invalid names are not looked up: PostgreSQL rejects NUL.
        body = connected_macro().series(series_id, period, time.time()) if is_series_id(series_id) else None
        if body is None:
            raise Problem(404, "unknown-series", f"Unknown macro series {series_id}. GET /api/macro lists all series.")
        return answer(request, macro_answers().answer((series_id, period), body), _macro_cache_control())


def _macro_cache_control() -> str:
    return f"private, max-age={_MACRO_MAX_AGE_SECONDS}, stale-if-error={conf().macro_stale_seconds}"


def _missing(symbol: str) -> Problem:
    if connected_collection().holds_symbol(symbol):
        return _stale(symbol, Freshness.EXPIRED, "its state has expired")
    return Problem(404, "unknown-symbol", f"No state is kept for {symbol}.")


def _stale(symbol: str, freshness: Freshness, why: str, **members: object) -> Problem:
    NOT_CURRENT.labels(freshness.value).inc()
    detail = f"No current state for {symbol}: {why}."
    return Problem(404, "stale-regime", detail, members={"freshness": freshness.value, **members})


def _refuse_stale(state: StoredState, judgement: Judgement, max_age_seconds: float | None) -> None:
    age_seconds = judgement.age_seconds
    if not judgement.is_current:
        raise _stale(state.symbol, judgement.freshness, f"the stored state is {_WHY[judgement.freshness]}")
    if max_age_seconds is not None and age_seconds is not None and age_seconds > max_age_seconds:
        age = math.ceil(age_seconds)  # never below what was asked for
        why = f"it is {age} s old and max_age is {max_age_seconds:g} s"
        raise _stale(state.symbol, judgement.freshness, why, age_seconds=age)


def _refuse_old_data(state: StoredState, judgement: Judgement, max_data_age_seconds: float, now: float) -> None:
    age_seconds = data_age(state.data_through, now)
    if age_seconds is not None and age_seconds <= max_data_age_seconds:
        return
    why = "it has no valid data_through"
    if age_seconds is not None:
        why = f"its data is {math.ceil(age_seconds)} s old"
    why += f" and max_data_age is {max_data_age_seconds:g} s"
    raise _stale(state.symbol, judgement.freshness, why, data_through=data_through_value(state.data_through))


def _confirm_seconds(max_ages: MaxAges) -> int:
    return conf().confirm_seconds if max_ages == (None, None) else 0


def _version(cursor: Cursor | None, now: float) -> Version:
    pinned = connected_collection().version(cursor.version) if cursor else None
    try:
        return pinned or connected_collection().newest(now)
    except CollectionMissingError:
        raise Problem(
            503,
            "collection-not-ready",
            "The collection is being built. Retry after 2 seconds.",
            headers={"Retry-After": "2"},
        ) from None
