"""Requests to servers that are slow, too large, compressed or silent: each ends within its limits."""

import gzip
import itertools
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

from avo_project.http.fetch import BoundedClient, TooLargeError, fetch
from tests.avo_project.slow_server import HEAD, PIECES, slow_server

SECONDS = 0.4
BOMB = gzip.compress(b"0" * 10_000_000)


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name == "fetch":
            thread.join(timeout=10)
            assert not thread.is_alive()


def get(url: str, max_bytes: int = 1_000) -> bytes:
    return fetch("GET", url, seconds=SECONDS, max_bytes=max_bytes).body


@pytest.mark.parametrize("what", PIECES)
def test_whatever_drips_ends_in_time(what: str) -> None:
    with slow_server(PIECES[what]()) as url, pytest.raises(httpx.ReadTimeout):
        get(url)


@pytest.mark.parametrize(
    "pieces",
    [
        lambda: itertools.chain([HEAD + b"\r\n"], itertools.repeat(b" " * 100_000)),
        lambda: iter([HEAD + b"Content-Length: 1001\r\n\r\n" + b" " * 1001]),
        lambda: iter([HEAD + b"Content-Length: 300000000\r\n\r\n", *[b" " * 100_000] * 20]),
    ],
)
def test_a_large_answer_is_not_read_to_its_end(pieces: object) -> None:
    with slow_server(pieces(), 0) as url, pytest.raises(TooLargeError, match="larger than 1000 bytes"):  # type: ignore[operator]
        get(url)


def test_an_answer_as_large_as_allowed_is_read() -> None:
    with slow_server(iter([HEAD + b"Content-Length: 1000\r\n\r\n" + b" " * 1000])) as url:
        assert get(url) == b" " * 1000


def test_nothing_is_decompressed() -> None:
    head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB)
    with slow_server(iter([head + BOMB])) as url, pytest.raises(httpx.DecodingError):
        get(url, 100_000)


def test_a_redirect_is_a_failure_and_not_followed() -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with slow_server(iter([answer])) as url, pytest.raises(httpx.HTTPStatusError):
        get(url)


def test_without_wanting_a_body_the_status_is_enough() -> None:
    with slow_server(PIECES["a body that drips"]()) as url:
        assert fetch("POST", url, seconds=5, max_bytes=0, json={}).response.status_code == 200


def test_a_name_server_that_hangs_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    found = threading.Event()

    def hangs(*arguments: object, **options: object) -> list[object]:
        found.wait(10)
        raise socket.gaierror("nobody")

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    with pytest.raises(httpx.ConnectTimeout):
        get("http://clerk.avo.test/")
    found.set()


def test_nobody_there_is_told_as_httpx_tells_it() -> None:
    with pytest.raises(httpx.ConnectError):
        get("http://127.0.0.1:1/")


def test_a_client_goes_on_after_a_request_that_was_too_slow() -> None:
    with BoundedClient(SECONDS, 10) as client:
        with slow_server(PIECES["headers that drip"]()) as url, pytest.raises(httpx.ReadTimeout):
            client.send(client.build_request("GET", url))
        with slow_server(iter([HEAD + b"Content-Length: 2\r\n\r\n{}"])) as url:
            assert client.send(client.build_request("GET", url)).body == b"{}"
