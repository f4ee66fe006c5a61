import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals_app.domain.names import escaped, unescaped


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"apex-group", "apex-group"),
        ("größe".encode(), "größe"),
        (b"a\\b", "a\\b"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"\\xff", "\\x5cxff"),
    ],
)
def test_text_stays_and_bytes_are_escaped(raw: bytes, text: str) -> None:
    assert (escaped(raw), unescaped(text)) == (text, raw)


@given(st.lists(st.binary(max_size=8) | st.sampled_from([b"\\", b"x", b"5c", b"ff", b"\xff"]), max_size=8))
def test_nothing_is_lost(parts: list[bytes]) -> None:
    raw = b"".join(parts)
    assert unescaped(escaped(raw)) == raw
    escaped(raw).encode()  # it can be printed


def test_what_the_shell_was_given_in_raw_bytes_is_taken_as_such() -> None:
    assert unescaped("\udcff\udcfe") == b"\xff\xfe"
