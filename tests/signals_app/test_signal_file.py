import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import IO, Any, BinaryIO

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals_app.domain.event import BadEventError
from signals_app.services.publisher import Publisher, SignalFile, json_members, lines_as_they_come, parse_line
from signals_app.store.stream import SignalStream
from tests.signals_app.conftest import event, fields, no_pause


def line(**changes: Any) -> bytes:
    return orjson.dumps(fields() | changes)


def test_numbers_and_nested_values_are_taken_as_their_json_text() -> None:
    parsed = parse_line(line(confidence=0.5, published_at=17, legs=[1, 2], note=None))
    assert parsed == event(published_at_ms=17, extra={"legs": "[1,2]"})


@pytest.mark.parametrize(
    "own",
    ["123456789012345678901234567890", "1.10", "-0", "1E5", "true", "[1, 2.50]", '{"a": [123456789012345678901]}'],
)
def test_an_unknown_value_keeps_its_own_text(own: str) -> None:
    known = b'{ "symbol" : "\\u0041APL", "confidence":0.5,"direction":"long", "published_at": 17 ,'
    given = known + b'"nothing":null, "signal_id":"%s", "q\\"": "\\n", "own":' % fields()["signal_id"].encode()
    parsed = parse_line(given + own.encode() + b" }\n")
    assert parsed == event(published_at_ms=17, extra={'q"': "\n", "own": own})


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"{", "not-json"),
        (b"\xff\xfe", "not-json"),
        (b"[]", "not-an-object"),
        (line(confidence=True), "bad-confidence: 'true'"),
        (line(confidence=1.5), "bad-confidence"),
        (line(signal_id=None), "missing-field"),
        (line(note="x" * 100_000), "too-large"),
    ],
)
def test_a_bad_line_says_why(bad: bytes, reason: str) -> None:
    with pytest.raises(BadEventError, match=reason):
        parse_line(bad)


@pytest.mark.parametrize("depth", [100, 1_000, 5_000])
def test_a_value_is_kept_or_refused_however_deep_it_is(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    with pytest.raises(BadEventError) if depth > 1_024 else suppress(*[BadEventError] if depth > 100 else []):
        assert parse_line(line()[:-1] + b',"deep":' + deep + b"}").extra == {"deep": deep.decode()}


def test_good_lines_are_published_and_bad_ones_reported_by_number(stream: SignalStream) -> None:
    reports: list[str] = []
    lines = [line(), b"\n", b"nonsense\n", line(published_at=17, direction="short")]
    signals = SignalFile([lines[:1], lines[1:]], on_bad_line=reports.append, clock=lambda: 2.5)
    signals.publish(Publisher(stream, soft_cap=1_000, pause=no_pause))
    assert (signals.published, signals.bad) == (2, 1)
    assert [report.split(":")[0] for report in reports] == ["line 3"]
    newest, oldest = stream.newest_first(before=None, count=10)
    assert newest.fields[b"published_at"] == b"17"
    assert oldest.fields[b"published_at"] == b"2500"


@pytest.fixture
def pipe() -> Iterator[tuple[BinaryIO, IO[bytes]]]:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as outlet, os.fdopen(writing, "wb", buffering=0) as inlet:
        yield outlet, inlet


def test_what_a_slow_pipe_has_brought_is_published_before_more_comes(
    stream: SignalStream, pipe: tuple[BinaryIO, IO[bytes]]
) -> None:
    outlet, inlet = pipe
    lengths = []

    def slowly() -> Iterator[Sequence[bytes]]:
        lines = lines_as_they_come(outlet)
        for written in (line() + b"\n" + line() + b"\n" + line()[:9], line()[9:] + b"\n", line()):
            inlet.write(written)
            if written == line():
                inlet.close()
            yield next(lines)
            lengths.append(stream.length())
        yield from lines

    signals = SignalFile(slowly(), on_bad_line=pytest.fail)
    signals.publish(Publisher(stream, soft_cap=1_000, pause=no_pause))
    assert (lengths, signals.published) == ([2, 3, 4], 4)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), values, max_size=5), st.sampled_from([None, 0, 2]), st.booleans())
def test_every_value_is_there_as_it_stands(members: dict[str, object], indent: int | None, ascii_only: bool) -> None:
    found = json_members(json.dumps(members, indent=indent, ensure_ascii=ascii_only))
    expected = {name: one for name, one in members.items() if one is not None}
    assert found.keys() == expected.keys()
    for name, one in expected.items():
        assert (found[name] if isinstance(one, str) else json.loads(found[name])) == one


def test_a_number_of_any_length_is_kept() -> None:
    assert json_members('{"n":' + "7" * 5_000 + "}") == {"n": "7" * 5_000}
