import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals_app.domain.event import MAX_BYTES, BadEventError, Event, parse_entry, parse_fields
from tests.signals_app.conftest import event, fields


def raw(**changes: Any) -> dict[bytes, bytes]:
    return {
        name.encode(): value if isinstance(value, bytes) else value.encode()
        for name, value in fields(**changes).items()
    }


def test_an_entry_becomes_an_event_with_its_unknown_fields() -> None:
    parsed = parse_entry(raw(published_at="1790000000000", desk="é"))
    assert parsed == event(published_at_ms=1_790_000_000_000, extra={"desk": "é"})
    assert parse_entry(raw(desk="a\0b")).extra == {"desk": "a\0b"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"signal_id": "42"}, "bad-signal-id: '42' is not a UUID"),
        ({"signal_id": ""}, "bad-signal-id: '' is not a UUID"),
        ({"symbol": ""}, "bad-symbol"),
        ({"symbol": "A B"}, "bad-symbol"),
        ({"symbol": "A" * 65}, "bad-symbol"),
        ({"symbol": "Ä"}, "bad-symbol"),
        ({"direction": "sideways"}, "bad-direction: 'sideways' is not long, short or flat"),
        ({"direction": "LONG"}, "bad-direction"),
        ({"confidence": "NaN"}, "bad-confidence: 'NaN' is not a number in 0..1"),
        ({"confidence": "inf"}, "bad-confidence"),
        ({"confidence": "1.01"}, "bad-confidence"),
        ({"confidence": "-0.1"}, "bad-confidence"),
        ({"confidence": "0_1"}, "bad-confidence"),
        ({"confidence": " 1"}, "bad-confidence"),
        ({"confidence": "\u0660"}, "bad-confidence"),
        ({"confidence": ""}, "bad-confidence"),
        ({"confidence": "0." + "0" * 1_000}, "bad-confidence"),
        ({"published_at": "yesterday"}, "bad-published-at"),
        ({"published_at": "-1"}, "bad-published-at"),
        ({"symbol": b"\xff\xfe"}, "not-utf8: "),
        ({"note": b"\xff"}, "not-utf8: "),
        ({"note": "x" * 1_000_000}, "too-large: 1000[0-9]* characters in all"),
    ],
)
def test_what_is_no_event_is_refused_with_the_precise_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadEventError, match=reason):
        parse_entry(raw(**changes))


@pytest.mark.parametrize("name", ["signal_id", "symbol", "direction", "confidence"])
def test_every_known_field_must_be_there(name: str) -> None:
    incomplete = {field: value for field, value in fields().items() if field != name}
    with pytest.raises(BadEventError, match=f"missing-field: there is no {name}"):
        parse_fields(incomplete)


def test_a_long_value_is_shortened_in_the_reason() -> None:
    with pytest.raises(BadEventError) as refused:
        parse_entry(raw(direction="x" * (MAX_BYTES - 1_000)))
    assert len(str(refused.value)) < 150


def test_too_many_fields_are_refused() -> None:
    with pytest.raises(BadEventError, match="too-many-fields: 304 fields, 256 at most"):
        parse_fields(fields(**{f"extra{number}": "" for number in range(300)}))


def test_a_field_name_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(BadEventError, match="not-utf8: "):
        parse_entry(raw() | {b"\xff": b"1"})


def test_the_order_of_the_fields_does_not_matter() -> None:
    shuffled = {"note": "x", "published_at": "17", **dict(reversed(fields().items())), "desk": "y"}
    expected = event(published_at_ms=17, extra={"note": "x", "desk": "y"})
    assert parse_fields(shuffled) == parse_entry({k.encode(): v.encode() for k, v in shuffled.items()}) == expected
    late = {**fields(), "note": "x", "published_at": "17", "desk": "y"}
    assert parse_fields(late) == expected


texts = st.text(max_size=20)
events = st.builds(
    Event,
    signal_id=st.uuids().map(str),
    symbol=st.from_regex(r"[!-~]{1,64}", fullmatch=True),
    direction=st.sampled_from(["long", "short", "flat"]),
    confidence=st.floats(0, 1),
    published_at_ms=st.none() | st.integers(0, 10**15 - 1),
    extra=st.dictionaries(
        texts.filter(lambda name: name not in {*fields(), "published_at"}), texts, max_size=5
    ),
)  # fmt: skip


@given(events)
def test_an_event_survives_its_way_through_the_stream(original: Event) -> None:
    flat = [text.encode() for text in original.as_fields()]
    assert parse_entry(dict(zip(flat[::2], flat[1::2], strict=True))) == original


@given(
    st.dictionaries(
        st.binary(max_size=12) | st.sampled_from([name.encode() for name in fields()]), st.binary(max_size=40)
    )
)
def test_nothing_but_a_bad_event_error_comes_of_garbage(garbage: dict[bytes, bytes]) -> None:
    try:
        reason = parse_entry(garbage).symbol
    except BadEventError as bad:
        reason = str(bad)
    assert reason.isprintable()


def test_uuids_are_taken_with_and_without_hyphens() -> None:
    one = uuid.uuid4()
    assert (
        parse_fields(fields(signal_id=one.hex)).signal_id == parse_fields(fields(signal_id=str(one).upper())).signal_id
    )
