"""JSON serialisation and parsing, and the errors of invalid input."""

import io

import pytest
from rest_framework.exceptions import ParseError

from avo_project.http.rendering import JSONBytesParser


def test_a_body_is_read() -> None:
    assert JSONBytesParser().parse(io.BytesIO(b'{"a": [1, null]}')) == {"a": [1, None]}


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 50_000, b"[NaN]", b'"\xff"', b'{"a": 1} x'])
def test_what_is_not_json_is_refused_however_deep_it_goes(body: bytes) -> None:
    with pytest.raises(ParseError, match="The body is not valid JSON"):
        JSONBytesParser().parse(io.BytesIO(body))
