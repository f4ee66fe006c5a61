import gzip
import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from regime.domain.prices import PriceFileError, read_closes, read_euro_pairs
from regime.domain.state import FIELDS
from regime.services.cycle import states_of_closes
from tests.regime.states import NOW

_FILES = json.loads((Path(__file__).parent / "data" / "price_files.json").read_text())
NO_CLOSES = ("inf", "-inf", "nan", "1e999", "-5", "1_000", "0x1f")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "prices.csv"


def test_closes_are_read_and_sorted_by_day(file: Path) -> None:
    file.write_text("date,AAPL,btc/usdt\n2026-01-06,2,\n2026-01-05,1,30000.5\n")
    closes = read_closes(file)
    assert closes.symbols == ("AAPL", "BTC/USDT")
    assert closes.days == (date(2026, 1, 5), date(2026, 1, 6))
    np.testing.assert_array_equal(closes.table, [[1, 30000.5], [2, np.nan]])
    assert closes.up_to(date(2026, 1, 5)).table.tolist() == [[1, 30000.5]]


def test_a_gzipped_file_is_read_too(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv.gz"
    file.write_bytes(gzip.compress(b"date,AAPL\n2026-01-05,1\n"))
    assert read_closes(file).symbols == ("AAPL",)


@pytest.mark.parametrize(("name", "text", "table"), _FILES["read"])
def test_a_file_as_its_source_writes_it_is_read(
    file: Path, name: str, text: str, table: list[list[float | None]]
) -> None:
    file.write_text(text, newline="")
    closes = read_closes(file, date(2026, 1, 6))
    assert [[None if np.isnan(close) else close for close in row] for row in closes.table.tolist()] == table, name
    assert closes.days == (date(2026, 1, 5), date(2026, 1, 6))[: len(table)]


@pytest.mark.parametrize(("text", "why"), _FILES["refused"])
def test_a_row_that_cannot_be_meant_is_refused_with_its_line(file: Path, text: str, why: str) -> None:
    file.write_text(text, newline="")
    with pytest.raises(PriceFileError) as refused:
        read_closes(file, date(2026, 1, 6))
    assert str(refused.value).startswith(why)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "first line"),
        ("day,AAPL\n", "first line"),
        ("date,A B\n", "line 1"),
        ("date,A,a\n", "twice"),
        ("date,A\n", "no row"),
        ("date,A\n2026-01-05\n", "line 2: 1 columns"),
        ("date,A\nyesterday,1\n", "line 2"),
        ("date,A\n2026-01-05,x\n", "line 2: 'x'"),
        *((f"date,A\n2026-01-05,1\n2026-01-06,{bad}\n", f"line 3: '{bad}'") for bad in NO_CLOSES),
    ],
)
def test_a_file_that_is_none_is_refused_with_the_line(file: Path, text: str, why: str) -> None:
    file.write_text(text)
    with pytest.raises(PriceFileError, match=why):
        read_closes(file)


def test_the_bundled_sample_gives_full_states_of_the_pairs_still_quoted() -> None:
    states = {state.symbol: state for state in states_of_closes(read_euro_pairs(), NOW)}
    assert len(states) == 29
    assert "EURHRK=X" not in states  # Croatia took the euro in 2023
    assert all(state.computed_at == NOW and None not in state.scores for state in states.values())
    assert all(score == round(score, 4) for score in states["EURUSD=X"].scores if score is not None)


def test_states_as_of_an_early_day_have_only_the_scores_that_day_allows() -> None:
    early = read_euro_pairs().up_to(date(1999, 3, 1))
    [euro_dollar] = [state for state in states_of_closes(early, NOW) if state.symbol == "EURUSD=X"]
    known = {field for field, score in zip(FIELDS, euro_dollar.scores, strict=True) if score is not None}
    assert known == {f"{regime}:{frame}" for regime in ("bull", "bear", "sideways") for frame in ("1w", "2w", "1mo")}
