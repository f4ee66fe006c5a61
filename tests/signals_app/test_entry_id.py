import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals_app.domain.entry import (
    END,
    MAX_PART,
    age_seconds,
    is_highest,
    is_lowest,
    just_before,
    order,
    parse_bound,
)

parts = st.integers(0, MAX_PART)


@given(parts, parts, parts, parts)
def test_ids_are_ordered_as_the_server_orders_them(ms: int, seq: int, other_ms: int, other_seq: int) -> None:
    assert (order(f"{ms}-{seq}") < order(f"{other_ms}-{other_seq}")) == ((ms, seq) < (other_ms, other_seq))


@given(parts, parts)
def test_nothing_lies_between_an_id_and_the_one_just_before(ms: int, seq: int) -> None:
    before_ms, before_seq = order(just_before(f"{ms}-{seq}"))
    if (ms, seq) == (0, 0):
        assert (before_ms, before_seq) == (0, 0)
    else:
        assert before_ms * 2**64 + before_seq + 1 == ms * 2**64 + seq


@pytest.mark.parametrize("text", ["", "x", "1-", "-1", "1-2-3", f"{MAX_PART + 1}-0", "1e3-0"])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="id"):
        order(text)


def test_nothing_comes_after_the_end() -> None:
    assert order(END) > order("1790000000000-5")


def test_age_is_never_negative() -> None:
    assert age_seconds("2000-0", 5_000) == 3
    assert age_seconds("9000-0", 5_000) == 0


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("5-7", "5-7", "5-7"),
        ("5", "5-0", f"5-{MAX_PART}"),
        ("1970-01-01T00:00:01", "1000-0", f"1000-{MAX_PART}"),
        ("1970-01-01T01:00:01+01:00", "1000-0", f"1000-{MAX_PART}"),
        ("1970-01-02", "86400000-0", f"86400000-{MAX_PART}"),
    ],
)
def test_a_bound_is_an_id_or_a_time(text: str, first: str, last: str) -> None:
    assert parse_bound(text, is_last=False) == first
    assert parse_bound(text, is_last=True) == last


@pytest.mark.parametrize("text", ["soon", "1969-12-31", "2026-13-01"])
def test_any_other_bound_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parse_bound(text, is_last=False)


def test_the_ends_of_all_ids() -> None:
    assert is_lowest("0")
    assert is_lowest("000-00")
    assert not is_lowest("0-1")
    assert is_highest(f"{MAX_PART}-{MAX_PART}")
    assert not is_highest(END)
