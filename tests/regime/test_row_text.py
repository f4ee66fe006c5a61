"""Rows of text against what a JSON encoder makes of the same rows."""

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from regime.domain.freshness import data_through_value
from regime.domain.row_text import RowText, stamp_texts
from regime.domain.state import REGIMES

THROUGH = [b"2026-10-30", b"", b"1790000000", b"1790000000.25"]

symbols = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=64)
stamps = st.sampled_from([1_790_000_000.0, 1_790_000_000.25, 0.0, 99_999_999.0, 1e8, 1e12 - 1, 1e12, 1_700_000_001.0])
rows = st.lists(st.tuples(symbols, stamps, st.integers(0, 4), st.integers(0, 60_000)), max_size=20)


@example([("\\", 0.0, 0, 0)], "1w")
@example([('"', 0.0, 0, 0)], "1w")
@given(rows, st.sampled_from(["1w", "2y"]))
def test_rows_are_the_json_of_what_they_say(rows: list[tuple[str, float, int, int]], timeframe: str) -> None:
    names, when, regimes, scores = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [], [])
    through = np.array([THROUGH[index % len(THROUGH)] for index in range(len(rows))], dtype=np.bytes_)
    text = RowText(
        np.array([name.encode() for name in names], dtype=np.bytes_), np.array(when, dtype=np.float64), through
    )
    made = text.rows(np.arange(len(rows)), timeframe, np.array(regimes, np.uint8), np.array(scores, np.uint16))
    assert orjson.loads(b"[" + made + b"]") == [
        {
            "symbol": name,
            "computed_at": stamp,
            "data_through": data_through_value(bytes(one_through)),
            "timeframe": timeframe,
            "regime": REGIMES[regime],
            "score": round(score / 60_000, 5),
        }
        for (name, stamp, regime, score), one_through in zip(rows, through, strict=True)
    ]


@pytest.mark.parametrize("other", ["1700000001", "1.5"])
def test_whole_seconds_have_no_fraction(other: str) -> None:
    texts = stamp_texts(np.array([1_790_000_000.0, float(other)])).tolist()
    assert [text.replace(b"\0", b"").decode() for text in texts] == ["1790000000", other]


def test_what_is_no_timeframe_is_refused() -> None:
    text, first = RowText(np.array([b"A"]), np.zeros(1), np.array([b""])), np.zeros(1, np.uint16)
    with pytest.raises(ValueError, match="no timeframe: 1d"):
        text.rows(first.astype(int), "1d", first.astype(np.uint8), first)
