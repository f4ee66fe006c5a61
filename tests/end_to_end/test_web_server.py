"""What the web server itself lets through and refuses, before any code of ours sees the request."""

import json
import socket

import pytest

from tests.end_to_end.system import System


def answer_to(system: System, request: bytes) -> tuple[int, str, bytes]:
    """Status, media type and body of the answer to raw bytes."""
    with socket.create_connection(("127.0.0.1", system.port), timeout=30) as sock:
        sock.sendall(request)
        answer = b""
        while part := sock.recv(65_536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    [media_type] = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("content-type:")]
    return int(lines[0].split()[1]), media_type, body


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /livez?" + b"x" * 50_000 + b" HTTP/1.1", 414),
        (b"GET /livez HTTP/1.1\r\nX-Long: " + b"x" * 200_000, 431),
        (b"no request at all", 400),
    ],
)
def test_what_is_no_proper_request_is_refused_with_a_problem(system: System, request_line: bytes, status: int) -> None:
    answered, media_type, body = answer_to(system, request_line + b"\r\nHost: localhost\r\n\r\n")
    assert (answered, media_type) == (status, "application/problem+json")
    assert json.loads(body)["status"] == status


def test_five_hundred_symbols_fit_in_a_query(system: System) -> None:
    symbols = ",".join(f"SYMBOL{number:058}" for number in range(500))
    assert system.get(f"/api/intelligence/regime?symbols={symbols}").status_code == 200


def test_an_answer_without_content_has_no_length(system: System) -> None:
    url = "/api/intelligence/regime"
    first = system.get(url, headers={"Accept-Encoding": "identity;q=1, gzip;q=0.5"})
    assert "Content-Encoding" not in first.headers
    unchanged = system.get(
        url, headers={"Accept-Encoding": "identity", "If-None-Match": f"bare, W/{first.headers['ETag']}"}
    )
    assert (unchanged.status_code, unchanged.headers["ETag"]) == (304, first.headers["ETag"])
    assert "Content-Length" not in unchanged.headers
    assert "Transfer-Encoding" not in unchanged.headers
