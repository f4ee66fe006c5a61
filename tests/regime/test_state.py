import math
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime.domain.state import (
    FIELDS,
    RawStates,
    SymbolError,
    are_symbols,
    decode_in_bulk,
    decode_state,
    dominant_regimes,
    encode_scores,
    encode_stamp,
    valid_symbol,
)
from tests.regime.states import NOW, a_state, only

scores = st.tuples(*[st.none() | st.floats(0, 1)] * len(FIELDS))


def as_redis(computed_at: float, values: tuple[float | None, ...]) -> list[bytes]:
    flat = [b"computed_at", encode_stamp(computed_at)]
    for name, text in zip(FIELDS, encode_scores(values).split(b","), strict=True):
        flat += [name.encode(), text] if text else []
    return flat


@pytest.mark.parametrize("symbol", ["AAPL", "BRK.B", "^GSPC", "EURUSD=X", "BTC/USDT", "A" * 64, "~", "a[b]"])
def test_a_valid_symbol_comes_back_in_upper_case(symbol: str) -> None:
    assert valid_symbol(symbol) == symbol.upper()


@pytest.mark.parametrize("symbol", ["", "A B", "A\n", "A\x00", "\x7f", "É", "ß", "A" * 65, "A\u2028", "\u0131"])
def test_an_invalid_symbol_is_refused_with_a_reason(symbol: str) -> None:
    with pytest.raises(SymbolError, match="symbol"):
        valid_symbol(symbol)


@given(st.text(string.printable, max_size=70))
def test_what_is_valid_stays_valid(text: str) -> None:
    try:
        symbol = valid_symbol(text)
    except SymbolError:
        return
    assert valid_symbol(symbol) == symbol
    assert symbol.isascii()
    assert symbol.isprintable()
    assert " " not in symbol


@given(scores)
def test_scores_survive_their_text(values: tuple[float | None, ...]) -> None:
    decoded = decode_state("X", as_redis(NOW, values), None)
    assert decoded.bad_fields == 0
    assert [score is None for score in decoded.scores] == [score is None for score in values]
    assert all(
        math.isclose(a, b, abs_tol=1e-12)
        for a, b in zip(decoded.scores, values, strict=True)
        if a is not None and b is not None
    )
    assert b"e" not in encode_scores(values)


@pytest.mark.parametrize("text", [b"", b"x", b"nan", b"inf", b"-0.1", b"1.0001", b"0_1", b" 0.5", b"0.5,0.6", b"."])
def test_a_bad_score_is_left_out_and_counted(text: bytes) -> None:
    flat = as_redis(NOW, a_state().scores)
    flat[flat.index(b"bull:1mo") + 1] = text
    decoded = decode_state("X", flat, None)
    assert decoded.scores[FIELDS.index("bull:1mo")] is None
    assert decoded.bad_fields == 1
    assert sum(score is None for score in decoded.scores) == 1


def test_fields_may_come_in_any_order_and_with_strangers_among_them() -> None:
    decoded = decode_state("X", [b"calm:2y", b"1", b"note", b"hello", b"computed_at", b"1790000000.5"], 5.0)
    assert decoded.computed_at == 1_790_000_000.5
    assert decoded.expires_at == 5.0
    assert decoded.scores[-1] == 1.0
    assert decoded.bad_fields == 0


@given(
    st.lists(st.sampled_from([b"", b"2026-10-30", b"1790000000", b"1.79e9", b"soon"]), max_size=6), st.integers(0, 5)
)
def test_many_hashes_say_what_each_of_them_says(texts: list[bytes], broken: int) -> None:
    raw = RawStates(
        [b"S%d" % n for n in range(len(texts))], [as_redis(NOW, a_state(seed=n).scores) for n in range(len(texts))]
    )
    for n, (flat, text) in enumerate(zip(raw.hashes, texts, strict=True)):
        assert isinstance(flat, list)
        flat += [b"data_through", text] if text else []
        if n == broken:
            flat[3] = b"2"
    decoded = decode_in_bulk(raw)
    assert sorted([*decoded.symbols, *decoded.irregular]) == sorted(raw.symbols)
    assert not decoded.symbols or len({len(raw.hashes[int(symbol[1:])]) for symbol in decoded.symbols}) == 1
    for symbol, scores, through in zip(decoded.symbols, decoded.scores, decoded.through, strict=True):
        one = decode_state("X", raw.hashes[int(symbol[1:])], None)
        assert (tuple(scores.tolist()), through, one.bad_fields) == (one.scores, one.data_through, 0)


@pytest.mark.parametrize("text", [b"soon", b"", b"nan", b"1e999"])
def test_a_stamp_that_is_no_number_is_nan(text: bytes) -> None:
    stamp = decode_state("X", [b"computed_at", text], None).computed_at
    assert stamp is not None
    assert math.isnan(stamp)


def test_the_highest_score_dominates_and_of_equals_the_first() -> None:
    dominants = dominant_regimes(only("X", bull_1w=0.4, calm_1w=0.5, bear_2y=0.5, sideways_2y=0.5).scores)
    assert dominants == (4, None, None, None, None, None, None, 1)


def test_stamps_are_written_as_plain_decimals() -> None:
    assert encode_stamp(1_790_000_000) == b"1790000000"
    assert encode_stamp(1_790_000_000.231724) == b"1790000000.231724"


@given(
    st.lists(st.binary(max_size=3) | st.sampled_from([b"AAPL", b"A\nB", b"aapl", b"A" * 65, b"BTC/USDT"]), max_size=4)
)
def test_many_symbols_are_checked_as_one_by_one(names: list[bytes]) -> None:
    def is_symbol(name: bytes) -> bool:
        try:
            return valid_symbol(name.decode("ascii")).encode() == name
        except (SymbolError, UnicodeDecodeError):
            return False

    assert are_symbols(names) == all(map(is_symbol, names))
