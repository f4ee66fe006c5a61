import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime.domain.columns import (
    NO_REGIME,
    NO_SCORE,
    Columns,
    PackingError,
    after_cycle,
    changed_symbols,
    columns_of,
    empty_columns,
    empty_dominance_log,
    merged,
    pack_columns,
    pack_dominance_log,
    positions,
    same_states,
    score_matrix,
    unpack_columns,
    unpack_dominance_log,
)
from regime.domain.state import FIELDS, TIMEFRAMES, RegimeState, Scores, dominant_regimes
from tests.regime.states import NOW, a_state, only


def columns(states: Sequence[RegimeState]) -> Columns:
    stamps = np.array([state.computed_at for state in states])
    names, through = [state.symbol.encode() for state in states], [state.data_through for state in states]
    return columns_of(names, stamps, score_matrix([s.scores for s in states]), through)


def test_states_are_sorted_and_their_scores_kept_to_four_decimals() -> None:
    states = [a_state("B", seed=1), a_state("A", seed=2)]
    packed = columns(states)
    assert packed.symbols.tolist() == [b"A", b"B"]
    assert tuple((packed.scores[:, 1] / 60_000).round(5).tolist()) == states[0].scores
    assert tuple(packed.dominants[:, 1].tolist()) == dominant_regimes(states[0].scores)


def test_no_score_and_no_regime_have_marks_of_their_own() -> None:
    packed = columns([only("A", bear_1w=0.0)])
    assert packed.scores[:3, 0].tolist() == [NO_SCORE, 0, NO_SCORE]
    assert packed.dominants[:, 0].tolist() == [1, *[NO_REGIME] * 7]


score = st.none() | st.sampled_from([0.0, 0.5, 1.0]) | st.floats(0.0, 1.0)


@given(st.tuples(*[score] * len(FIELDS)))
def test_columns_and_a_state_have_the_same_dominant_regimes(scores: Scores) -> None:
    dominants = columns([RegimeState("A", NOW, scores)]).dominants[:, 0].tolist()
    assert tuple(None if index == NO_REGIME else index for index in dominants) == dominant_regimes(scores)


def test_a_state_takes_the_bytes_that_the_documents_say() -> None:
    states = [replace(a_state(f"PAIR{number:02}=X"), data_through=b"2026-10-30") for number in range(10)]
    held = columns(states)
    assert sum(getattr(held, name).nbytes for name in Columns.__slots__) / 10 == pytest.approx(115, abs=3)


symbols = st.lists(st.tuples(st.sampled_from("ABCDEFGH"), st.integers(0, 3)), max_size=12)


@given(symbols, symbols)
def test_of_two_states_the_newer_and_of_equals_the_later_stays(
    older: list[tuple[str, int]], later: list[tuple[str, int]]
) -> None:
    def states(pairs: list[tuple[str, int]], seed: int) -> list[RegimeState]:
        return [a_state(symbol, NOW + stamp, seed + index) for index, (symbol, stamp) in enumerate(pairs)]

    one, two = states(older, 0), states(later, 100)
    wanted: dict[str, RegimeState] = {}
    for state in one + two:
        if state.symbol not in wanted or state.computed_at >= wanted[state.symbol].computed_at:
            wanted[state.symbol] = state
    result = merged([columns(one), columns(two)])
    assert same_states(result, columns(list(wanted.values())))


def test_packed_columns_come_back() -> None:
    dated = replace(a_state("C"), data_through=b"2026-10-30")
    for packed in (columns([a_state("A" * 64), a_state("B", seed=2)]), columns([a_state("A"), dated]), empty_columns()):
        assert same_states(unpack_columns({k.encode(): v for k, v in pack_columns(packed).items()}), packed)


DOMINANTS = ["|u1", len(TIMEFRAMES), 1]
SHAPES = orjson.dumps({"symbols": ["|S1", 2], "stamps": ["<f8", 1], "dominants": DOMINANTS, "through": ["|S1", 1]})
HARMS: list[dict[bytes, bytes | None]] = [
    {b"shapes": b"{"},
    {b"shapes": b"{}"},
    {b"shapes": b"[]"},
    {b"shapes": b'{"symbols":5}'},
    {b"shapes": b'{"symbols":["|S9",-1]}'},
    {b"shapes": b'{"symbols":["what",1]}'},
    {b"shapes": b'{"symbols":["|S9",99999999999999999999]}'},
    {b"shapes": SHAPES},
    {b"stamps": b"junk"},
    {b"stamps": b""},
    {b"scores:1w": None},
    {b"through": None},
    {b"format": None},
    {b"format": b"3"},
    {b"format": b"junk"},
]


@pytest.mark.parametrize("harm", HARMS)
def test_bytes_that_are_no_columns_are_reported(harm: dict[bytes, bytes | None]) -> None:
    packed: dict[bytes, bytes] = {k.encode(): v for k, v in pack_columns(columns([a_state()])).items()}
    harmed = {name: blob for name, blob in (packed | harm).items() if blob is not None}
    with pytest.raises(PackingError):
        unpack_columns(harmed)


def test_a_dominance_log_from_before_formats_had_numbers_is_read() -> None:
    log = after_cycle(empty_dominance_log(), columns([a_state("A"), a_state("B")]), 1)
    packed = {name.encode(): blob for name, blob in pack_dominance_log(log).items() if name != "format"}
    assert unpack_dominance_log(packed).symbols.tolist() == [b"A", b"B"]
    for harm in (
        {b"format": b"2"},
        {b"newest": b"junk"},
        {b"shapes": packed[b"shapes"].replace(b"cycles", b"circles")},
    ):
        with pytest.raises(PackingError):
            unpack_dominance_log(packed | harm)


def test_positions_of_known_and_unknown_symbols() -> None:
    held = np.array([b"A", b"C"])
    assert positions(held, np.array([b"C", b"B", b"ZZZ", b"A"])).tolist() == [1, -1, -1, 0]
    assert positions(held, [b"C", b"CC", b"ABC", b"A"]).tolist() == [1, -1, -1, 0]
    assert positions(held[:0], np.array([b"A"])).tolist() == [-1]


def test_the_dominance_log_holds_what_changed_since_the_cycle_before() -> None:
    bull, bear = {"bull_1mo": 0.9}, {"bear_1mo": 0.9}
    first = after_cycle(empty_dominance_log(), columns([only("A", **bull), only("B", **bull)]), 1)
    assert changed_symbols(first, "1mo", 0).tolist() == [b"A", b"B"]
    second = after_cycle(first, columns([only("A", **bear), only("C", **bull)]), 2)
    assert changed_symbols(second, "1mo", 1).tolist() == [b"A", b"C"]
    assert changed_symbols(second, "1mo", 0).tolist() == [b"A", b"B", b"C"]
    assert changed_symbols(second, "2y", 1).tolist() == []
    third = after_cycle(second, columns([only("A", **bear)]), 3)
    assert changed_symbols(third, "1mo", 2).tolist() == []


def test_a_symbol_that_lost_its_scores_changed_too() -> None:
    first = after_cycle(empty_dominance_log(), columns([only("A", bull_1mo=0.9)]), 1)
    assert changed_symbols(after_cycle(first, columns([only("A")]), 2), "1mo", 1).tolist() == [b"A"]


def test_nan_is_no_score() -> None:
    assert math.isnan(score_matrix([only("A").scores])[0, 0])
