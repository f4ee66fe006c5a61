"""OpenAPI descriptions of the regime routes. No serializer renders the responses, so their schemas are written here."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from avo_project.http.problems import MEDIA_TYPE
from regime.domain.state import DEFAULT_TIMEFRAME, REGIMES, TIMEFRAMES
from regime.domain.universe import DEFAULT_ROWS, MAX_ROWS, MAX_SYMBOLS

Shape = dict[str, Any]

_NUMBER: Shape = {"type": "number"}
_WHOLE: Shape = {"type": "integer"}
_SECONDS: Shape = {"type": "number", "description": "Unix seconds"}
_TEXT: Shape = {"type": "string"}
_DAY: Shape = {"type": "string", "format": "date"}
_THROUGH: Shape = {
    "type": ["string", "number", "null"],
    "description": "End of the data behind the scores, as given by the writer: an ISO date or Unix seconds",
}
_SCORE: Shape = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
_REGIME: Shape = {"type": ["string", "null"], "enum": [*REGIMES, None]}


def _object(**properties: Shape) -> Shape:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _or_null(shape: Shape) -> Shape:
    return {**shape, "type": [shape["type"], "null"]}


def _by_timeframe(shape: Shape) -> Shape:
    return _object(**dict.fromkeys(TIMEFRAMES, shape))


_STATE = _object(
    symbol=_TEXT,
    computed_at=_SECONDS,
    age_seconds=_WHOLE,
    expires_at=_SECONDS,
    data_through=_THROUGH,
    scores=_by_timeframe(_object(**dict.fromkeys(REGIMES, _SCORE))),
    dominant=_by_timeframe(_REGIME),
)
_ROW = _object(symbol=_TEXT, computed_at=_SECONDS, data_through=_THROUGH, timeframe=_TEXT, regime=_TEXT, score=_NUMBER)
_COLLECTION = _object(
    as_of=_SECONDS,
    age_seconds=_WHOLE,
    symbols={**_WHOLE, "description": "Number of symbols with a current state"},
    timeframes=_by_timeframe(
        _object(counts=_object(**dict.fromkeys(REGIMES, _WHOLE)), mean_scores=_object(**dict.fromkeys(REGIMES, _SCORE)))
    ),
    count={**_WHOLE, "description": "Number of matches on all pages"},
    next={"type": ["string", "null"], "description": "Cursor of the next page; null on the last page"},
    results={"type": "array", "items": _ROW},
)
_NEWEST = _object(
    series_id=_TEXT,
    date=_DAY,
    value=_NUMBER,
    vintage=_DAY,
    revised={"type": "boolean", "description": "True when an earlier vintage has another value for this date"},
    previous_date=_or_null(_DAY),
    previous_value=_or_null(_NUMBER),
    previous_revised={"type": ["boolean", "null"]},
    change=_or_null(_NUMBER),
)
_MACRO = _object(count=_WHOLE, results={"type": "array", "items": _NEWEST})
_OBSERVATION = _object(date=_DAY, vintage=_DAY, value=_NUMBER)
_SERIES = _object(
    series_id=_TEXT, vintage=_or_null(_DAY), count=_WHOLE, observations={"type": "array", "items": _OBSERVATION}
)
_PROBLEM = _object(type=_TEXT, title=_TEXT, status=_WHOLE, detail=_TEXT)

_EXAMPLE_SCORES = {regime: round(0.8213 / place, 4) for place, regime in enumerate(REGIMES, start=1)}
_DOMINANT = REGIMES[0]
_EXAMPLE_STATE = {
    "symbol": "EURUSD=X",
    "computed_at": 1_790_000_000,
    "age_seconds": 512,
    "expires_at": 1_790_086_400,
    "data_through": "2026-09-21",
    "scores": {DEFAULT_TIMEFRAME: _EXAMPLE_SCORES},
    "dominant": {DEFAULT_TIMEFRAME: _DOMINANT},
}
_EXAMPLE_COLLECTION = {
    "as_of": 1_790_000_000,
    "age_seconds": 12,
    "symbols": 209_033,
    "timeframes": {
        DEFAULT_TIMEFRAME: {
            "counts": {regime: 61_022 // place for place, regime in enumerate(REGIMES, start=1)},
            "mean_scores": {regime: round(0.42 / place, 2) for place, regime in enumerate(REGIMES, start=1)},
        }
    },
    "count": 209_033,
    "next": "WyI0ZjFjIiw0OTI3OCwiQlRDL1VTRFQiXQ",
    "results": [
        {
            "symbol": "AAPL",
            "computed_at": 1_790_000_000,
            "data_through": "2026-09-21",
            "timeframe": DEFAULT_TIMEFRAME,
            "regime": _DOMINANT,
            "score": 0.8213,
        }
    ],
}

_EXAMPLE_MACRO = {
    "count": 1,
    "results": [
        {
            "series_id": "UNRATE",
            "date": "2016-05-01",
            "value": 4.7,
            "vintage": "2016-06-03",
            "revised": False,
            "previous_date": "2016-04-01",
            "previous_value": 5.0,
            "previous_revised": False,
            "change": -0.3,
        }
    ],
}
_EXAMPLE_SERIES = {
    "series_id": "UNRATE",
    "vintage": "2016-06-03",
    "count": 1,
    "observations": [{"date": "2016-05-01", "vintage": "2016-06-03", "value": 4.7}],
}


def _answers(shape: Shape, example: object = None, **problems: str) -> dict[int | tuple[int, str], OpenApiResponse]:
    examples = [OpenApiExample("one", value=example, response_only=True)] if example else []
    errors: dict[int | tuple[int, str], OpenApiResponse] = {
        (int(status.removeprefix("_")), MEDIA_TYPE): OpenApiResponse({**_PROBLEM, "description": why}, description=why)
        for status, why in problems.items()
    }
    unchanged = OpenApiResponse(description="The representation named by If-None-Match is still valid.")
    return {200: OpenApiResponse(shape, examples=examples), 304: unchanged, **errors}


def _query_parameter(name: str, kind: Any, description: str, **more: Any) -> OpenApiParameter:
    return OpenApiParameter(name, kind, description=description, **more)


STATE = extend_schema(
    operation_id="regime_of_a_symbol",
    tags=["regime"],
    parameters=[
        OpenApiParameter(
            "symbol", str, OpenApiParameter.PATH, description="In any letter case, such as AAPL or BTC/USDT"
        ),
        _query_parameter("max_age", OpenApiTypes.DOUBLE, "Maximum age of the state in seconds; an older one is a 404"),
        _query_parameter(
            "max_data_age",
            OpenApiTypes.DOUBLE,
            "Maximum age of the data in seconds, by `data_through`; a date ends at midnight UTC",
        ),
    ],
    responses=_answers(
        _STATE,
        _EXAMPLE_STATE,
        _400="Invalid symbol, max_age or max_data_age; see `errors`.",
        _404="`unknown-symbol`: no state is stored. `stale-regime`: the stored state is not current.",
    ),
)
COLLECTION = extend_schema(
    operation_id="regimes_of_all_symbols",
    tags=["regime"],
    parameters=[
        _query_parameter("timeframe", str, "Window of the scores", enum=TIMEFRAMES, default=DEFAULT_TIMEFRAME),
        _query_parameter(
            "regime", str, "Regime whose score is listed; default: the dominant regime of each symbol", enum=REGIMES
        ),
        _query_parameter("min_score", OpenApiTypes.DOUBLE, "Minimum score"),
        _query_parameter("symbols", str, f"Comma-separated symbols, at most {MAX_SYMBOLS}"),
        _query_parameter(
            "order",
            str,
            "Sort order; with -score, equal scores are sorted by symbol",
            enum=["symbol", "score", "-score"],
            default="symbol",
        ),
        _query_parameter("limit", int, f"Page size, 1 to {MAX_ROWS}", default=DEFAULT_ROWS),
        _query_parameter("max_data_age", OpenApiTypes.DOUBLE, "Maximum age of the data in seconds, by `data_through`"),
        _query_parameter(
            "cursor", str, "`next` of the previous page; all pages come from one version of the collection"
        ),
    ],
    responses=_answers(
        _COLLECTION,
        _EXAMPLE_COLLECTION,
        _400="Invalid parameter; see `errors`.",
        _503="`collection-not-ready`: the collection is being built; retry after Retry-After.",
    ),
)
MACRO = extend_schema(
    operation_id="macro_newest_of_all_series", tags=["macro"], responses=_answers(_MACRO, _EXAMPLE_MACRO)
)
MACRO_SERIES = extend_schema(
    operation_id="macro_series",
    tags=["macro"],
    parameters=[
        OpenApiParameter("series_id", str, OpenApiParameter.PATH, description="Such as UNRATE"),
        _query_parameter("start", OpenApiTypes.DATE, "First date"),
        _query_parameter("end", OpenApiTypes.DATE, "Last date"),
        _query_parameter("vintage", OpenApiTypes.DATE, "Values as known on this day; default: today"),
    ],
    responses=_answers(_SERIES, _EXAMPLE_SERIES, _400="Invalid date; see `errors`.", _404="`unknown-series`"),
)
