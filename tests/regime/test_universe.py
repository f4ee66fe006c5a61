"""The universe against a plain Python model of the same questions."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime.domain.columns import columns_of, score_matrix
from regime.domain.freshness import LIFE_SECONDS, data_age, data_through_value
from regime.domain.state import FIELDS, REGIMES, RegimeState, dominant_regimes
from regime.domain.universe import (
    Cursor,
    CursorError,
    DatedUniverse,
    PagePosition,
    Query,
    Universe,
    decode_cursor,
    encode_cursor,
    query_digest,
)
from tests.regime.states import NOW, Row, only, rows_of

levels = st.none() | st.sampled_from([0.0, 0.1234, 0.5, 0.9, 1.0])
rows_of_scores = st.lists(st.tuples(levels, levels, levels), max_size=25)
queries = st.builds(
    Query,
    regime=st.none() | st.sampled_from(["bull", "bear"]),
    min_score=st.none() | st.sampled_from([0.0, 0.1, 0.1234, 0.5, 1.0]),
    symbols=st.none() | st.just(b"S3,S1,S1,NOBODY,S20,S" + b"1" * 63),
    order=st.sampled_from(["score", "-score", "symbol"]),
    limit=st.integers(1, 9),
    max_data_age=st.none() | st.sampled_from([0.0, 3_600.0, 20 * 86_400.0]),
)
THROUGH = [b"", b"2026-09-01", b"1789999000", b"1789999000.5", b"2999-01-01"]  # NOW is on 2026-09-21


def universe_of(states: Sequence[RegimeState]) -> Universe:
    return Universe(columns(states))


def columns(states: Sequence[RegimeState]):  # type: ignore[no-untyped-def]
    stamps, through = [state.computed_at for state in states], [state.data_through for state in states]
    return columns_of(
        [state.symbol.encode() for state in states], stamps, score_matrix([state.scores for state in states]), through
    )


def states_of(rows: Sequence[tuple[float | None, ...]]) -> list[RegimeState]:
    names = ("bull_1mo", "bear_1mo", "calm_1mo")
    return [
        replace(
            only(f"S{n}", **{name: score for name, score in zip(names, row, strict=True) if score is not None}),
            data_through=THROUGH[n % len(THROUGH)],
        )
        for n, row in enumerate(rows)
    ]


def expected(states: Sequence[RegimeState], query: Query) -> list[Row]:
    found = []
    for state in states:
        regime = query.regime
        if regime is None:
            dominant = dominant_regimes(state.scores)[2]
            regime = None if dominant is None else REGIMES[dominant]
        score = None if regime is None else state.scores[FIELDS.index(f"{regime}:1mo")]
        is_wanted = query.symbols is None or state.symbol.encode() in query.symbols.split(b",")
        age_seconds = data_age(state.data_through, NOW)
        is_young = query.max_data_age is None or (age_seconds is not None and age_seconds <= query.max_data_age)
        if regime is not None and score is not None and score >= (query.min_score or 0.0) and is_wanted and is_young:
            row: Row = {
                "symbol": state.symbol,
                "computed_at": NOW,
                "data_through": data_through_value(state.data_through),
                "timeframe": "1mo",
                "regime": regime,
                "score": score,
            }
            found.append(row)
    found.sort(key=lambda row: row["symbol"])
    if query.order != "symbol":
        found.sort(key=lambda row: -row["score"])
    return found[::-1] if query.order == "score" else found


@given(rows_of_scores, queries)
def test_walking_all_pages_gives_what_the_model_gives(rows: list[tuple[float | None, ...]], query: Query) -> None:
    states = states_of(rows)
    universe, wanted = universe_of(states), expected(states, query)
    walked: list[Row] = []
    position = None
    for _ in range(len(states) + 2):
        page = universe.page(query, position, NOW)
        assert page.count == len(wanted)
        assert len(rows_of(page)) <= query.limit
        walked += rows_of(page)
        position = page.ended_at
        assert (position is None) == (len(walked) == len(wanted))
        if position is None:
            break
    assert walked == wanted


@given(rows_of_scores, queries, st.integers(0, 24))
def test_a_place_whose_symbol_is_gone_is_still_a_place(
    rows: list[tuple[float | None, ...]], query: Query, gone: int
) -> None:
    states = states_of(rows)
    wanted = expected(states, query)
    if gone >= len(wanted):
        return
    position = PagePosition(round(wanted[gone]["score"] * 60_000), wanted[gone]["symbol"])
    left = universe_of([state for state in states if state.symbol != position.symbol])
    assert rows_of(left.page(replace(query, limit=100), position, NOW)) == wanted[gone + 1 :]


def test_the_summary_counts_dominants_and_means_scores() -> None:
    summary = universe_of([only("A", bull_1mo=0.5), only("B", bull_1mo=1.0, calm_1mo=0.2), only("C")]).summary
    assert summary["1mo"]["counts"] == {"bull": 2, "bear": 0, "sideways": 0, "volatile": 0, "calm": 0}
    assert summary["1mo"]["mean_scores"] == {
        "bull": 0.75,
        "bear": None,
        "sideways": None,
        "volatile": None,
        "calm": 0.2,
    }
    assert summary["1w"]["mean_scores"]["bull"] is None


@given(st.lists(st.floats(-2 * LIFE_SECONDS, LIFE_SECONDS), max_size=20), st.floats(-LIFE_SECONDS, 2 * LIFE_SECONDS))
def test_only_what_is_current_at_that_time_is_in_it(ages: list[float], step_seconds: float) -> None:
    dated = DatedUniverse(columns([only(f"S{n}", NOW + age, bull_1mo=0.5) for n, age in enumerate(ages)]))
    now = NOW + step_seconds
    _, universe = dated.at(now)
    current = {f"S{n}" for n, age in enumerate(ages) if -300 <= now - (NOW + age) < LIFE_SECONDS}
    assert {row["symbol"] for row in rows_of(universe.page(Query(limit=100)))} == current


def test_the_name_of_a_universe_changes_when_a_state_expires() -> None:
    dated = DatedUniverse(columns([only("A", NOW - 10, bull_1mo=0.5), only("B", NOW, bull_1mo=0.5)]))
    names = [dated.at(NOW + LIFE_SECONDS + step)[0] for step in (-11, -10, -5, 0)]
    assert names == [(0, 2), (1, 2), (1, 2), (2, 2)]
    assert dated.at(NOW)[1] is dated.at(NOW)[1]


def test_a_cursor_comes_back() -> None:
    cursor = Cursor("0123456789abcdef", PagePosition(49278, "BTC/USDT"), query_digest(Query()))
    assert decode_cursor(encode_cursor(cursor)) == cursor


@pytest.mark.parametrize("text", ["", "x", "bnVsbA", "W10", "WyJhIiwgMSwgImEgYiJd", "é", "eyJhIjoxfQ", "WzEsMiwzXQ"])
def test_a_made_up_cursor_is_refused(text: str) -> None:
    with pytest.raises(CursorError):
        decode_cursor(text)
