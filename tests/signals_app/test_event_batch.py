"""Parsing a batch gives the same results as parsing its entries one by one."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals_app.domain.event import BadEventError, Event, parse_batch, parse_entry
from tests.signals_app.conftest import event


def flat(one: Event, **changes: str) -> list[bytes]:
    fields = one.as_fields()
    for name, value in changes.items():
        fields[fields.index(name) + 1] = value
    return [text.encode() for text in fields]


def alone(row: Sequence[bytes]) -> Event | str:
    try:
        return parse_entry(dict(zip(row[::2], row[1::2], strict=True)))
    except BadEventError as bad:
        return str(bad)


def together(rows: Sequence[Sequence[bytes]]) -> list[Event | str]:
    return [str(one) if isinstance(one, BadEventError) else one for one in parse_batch(rows)]


USUAL = [event(number, published_at_ms=number, extra={"desk": "é", "note": ""}) for number in range(3)]


def test_a_batch_of_one_kind_keeps_every_field() -> None:
    assert parse_batch([flat(one) for one in USUAL]) == USUAL
    bare = [event(number) for number in range(3)]
    assert parse_batch([flat(one) for one in bare]) == bare
    assert parse_batch([]) == []


@pytest.mark.parametrize(
    "row",
    [
        flat(event(9)),
        flat(event(9), direction="up"),
        flat(event(9), confidence="NaN"),
        flat(event(9), signal_id="{00000000-0000-0000-0000-000000000009}"),
        flat(event(9, published_at_ms=7, extra={"desk": "x\0y", "note": ""})),
        flat(event(9, published_at_ms=7, extra={"desk": "x" * 70_000, "note": ""})),
        [*flat(event(9)), b"symbol", b"MSFT"],
        [b"\xff", b"\xff"],
        [*flat(USUAL[0])[:-2], b"note", b"\xff"],
    ],
)
@pytest.mark.parametrize("place", [0, 2])
def test_a_different_row_does_not_affect_its_neighbours(row: list[bytes], place: int) -> None:
    rows = [flat(one) for one in USUAL]
    rows.insert(place, row)
    assert together(rows) == [alone(one) for one in rows]


def test_rows_whose_fields_only_line_up_together_are_distinguished() -> None:
    whole = flat(event(1))
    rows = [whole, whole[:4], whole[4:] + whole]
    assert together(rows) == [alone(one) for one in rows]


KNOWN = [b"signal_id", b"symbol", b"direction", b"confidence", b"published_at", b"desk"]
VALUES = [b"00000000-0000-0000-0000-000000000001", b"AAPL", b"long", b"0.5", b"17", b"1\0AAPL", b"\xff", b""]
ROWS = st.lists(st.tuples(st.sampled_from(KNOWN), st.sampled_from(VALUES)), min_size=1, max_size=7).map(
    lambda pairs: [part for pair in pairs for part in pair]
)


@given(st.lists(ROWS | st.sampled_from([flat(one) for one in USUAL]), max_size=6))
def test_a_batch_is_parsed_as_its_single_rows(rows: list[list[bytes]]) -> None:
    assert together(rows) == [alone(one) for one in rows]
