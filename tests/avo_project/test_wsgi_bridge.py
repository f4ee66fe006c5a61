"""A WSGI application behind an ASGI server: requests, responses and failures."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from prometheus_client import REGISTRY

from avo_project.http import wsgi_bridge
from avo_project.http.wsgi_bridge import RequestThreads, WSGIBridge, environ_of

HTTP: dict[str, Any] = {
    "type": "http",
    "method": "POST",
    "path": "/caf\u00e9",
    "raw_path": b"/caf%C3%A9",
    "query_string": b"a=%20",
    "http_version": "1.1",
    "scheme": "http",
    "server": ("127.0.0.1", 8000),
    "client": ("192.0.2.1", 50_000),
    "headers": [],
}


class Answered(io.BytesIO):
    """Iterable and closable, as a Django response."""


def echo(environ: dict[str, Any], start_response: Any) -> Answered:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Answered(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))


def answer_of(
    bridge: WSGIBridge, scope: dict[str, Any], *messages: dict[str, Any]
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer to one request."""
    sent: list[dict[str, Any]] = []
    left = list(messages)

    async def receive() -> dict[str, Any]:
        return left.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(bridge(scope, receive, send))  # type: ignore[arg-type]
    start, body = sent
    return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, body["body"]


def test_a_chunked_body_arrives_as_one_with_a_length() -> None:
    parts = [{"type": "http.request", "body": part, "more_body": part != b"de"} for part in (b"abc", b"de")]
    bridge = WSGIBridge(echo, None, frozenset())
    chunked = HTTP | {"headers": [(b"transfer-encoding", b"chunked")]}
    assert answer_of(bridge, chunked, *parts) == (200, {"content-type": "text/plain"}, b"abcde")


@pytest.mark.parametrize("path", ["/api/limits", "/stream"])
def test_a_body_that_breaks_off_is_a_problem_and_counted(path: str) -> None:
    """Under Granian a chunk that cannot be read looks like a client that left."""
    messages = [{"type": "http.request", "body": b"abc", "more_body": True}, {"type": "http.disconnect"}]
    chunked = HTTP | {"path": path, "headers": [(b"transfer-encoding", b"chunked")]}
    before = REGISTRY.get_sample_value("avo_http_refused_total", {"status": "400"})
    status, headers, body = answer_of(WSGIBridge(echo, None, frozenset({"/stream"})), chunked, *messages)
    assert (status, headers["content-type"], headers["connection"]) == (400, "application/problem+json", "close")
    assert orjson.loads(body)["status"] == 400
    assert before is not None, "a chart starts at 0"
    assert REGISTRY.get_sample_value("avo_http_refused_total", {"status": "400"}) == before + 1


def test_an_environ_is_that_of_pep_3333() -> None:
    headers = [
        (b"host", b"localhost"),
        (b"content-type", b"application/json"),
        (b"content-length", b"3"),
        (b"x-forwarded-for", b"192.0.2.7"),
        (b"x-forwarded-for", b"192.0.2.8"),
        (b"x_forwarded_for", b"203.0.113.1"),
        (b"x-latin", b"\xe9"),
    ]
    environ = environ_of(HTTP | {"headers": headers}, b"abc")
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/caf\u00e9"
    assert (environ["QUERY_STRING"], environ["CONTENT_LENGTH"], environ["CONTENT_TYPE"]) == (
        "a=%20",
        "3",
        "application/json",
    )
    assert environ["REMOTE_ADDR"] == "192.0.2.1"
    assert environ["HTTP_X_FORWARDED_FOR"] == "192.0.2.7,192.0.2.8", "not what a field with underscores says"
    assert (environ["HTTP_HOST"], environ["HTTP_X_LATIN"]) == ("localhost", "\u00e9")


@pytest.mark.parametrize(("version", "protocol"), [("1", "HTTP/1.0"), ("1.0", "HTTP/1.0"), ("1.1", "HTTP/1.1")])
def test_the_protocol_is_named_as_in_cgi(version: str, protocol: str) -> None:
    """Granian says 1 for 1.0."""
    assert environ_of(HTTP | {"http_version": version}, b"")["SERVER_PROTOCOL"] == protocol


def test_a_caller_on_a_unix_socket_has_no_address() -> None:
    environ = environ_of(HTTP | {"client": None, "server": None}, b"")
    assert (environ["REMOTE_ADDR"], environ["SERVER_NAME"]) == ("", "localhost")


@pytest.mark.parametrize(
    ("header", "status"),
    [((b"content-length", b"7000000"), 413), ((b"x-long", b"x" * 20_000), 431)],
)
def test_what_is_refused_here_is_a_problem_and_ends_the_connection(header: tuple[bytes, bytes], status: int) -> None:
    answered, headers, body = answer_of(WSGIBridge(echo, None, frozenset()), HTTP | {"headers": [header]})
    assert (answered, headers["content-type"], headers["connection"]) == (status, "application/problem+json", "close")
    assert orjson.loads(body)["status"] == status


def test_a_failure_that_django_does_not_catch_is_a_500_and_the_thread_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    def fails(environ: dict[str, Any], start_response: Any) -> Answered:
        raise RuntimeError("not Django's")

    async def twice() -> list[int]:
        threads = RequestThreads(fails, 1)
        return [(await threads.run({}))[0] for _ in range(2)]

    assert asyncio.run(twice()) == [500, 500]
    assert "not Django's" in caplog.text


def test_too_many_that_wait_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wsgi_bridge, "MAX_WAITING", 0)
    status, headers, _ = answer_of(WSGIBridge(echo, None, frozenset()), HTTP)
    assert (status, headers["retry-after"]) == (503, "1")


def test_who_has_waited_too_long_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wsgi_bridge, "MAX_WAIT_SECONDS", -1)
    assert answer_of(WSGIBridge(echo, None, frozenset()), HTTP)[0] == 503


def test_liveness_waits_behind_nobody() -> None:
    """Requests that hang hold every thread but one."""

    async def asked() -> int:
        release = asyncio.Event()
        loop = asyncio.get_running_loop()

        def hangs(environ: dict[str, Any], start_response: Any) -> Answered:
            if environ["PATH_INFO"] != "/livez":
                asyncio.run_coroutine_threadsafe(release.wait(), loop).result()
            return echo(environ, start_response)

        bridge = WSGIBridge(hangs, None, frozenset())
        hanging = [asyncio.create_task(call(bridge, "/api")) for _ in range(2 * wsgi_bridge.THREADS)]
        status = await call(bridge, "/livez")
        release.set()
        assert await asyncio.gather(*hanging) == [200] * len(hanging)
        return status

    assert asyncio.run(asked()) == 200


async def call(bridge: WSGIBridge, path: str) -> int:
    statuses: list[int] = []

    async def send(message: dict[str, Any]) -> None:
        statuses.append(message.get("status", 0))

    await bridge(HTTP | {"path": path}, never, send)
    return statuses[0]


async def never() -> dict[str, Any]:
    return await asyncio.get_running_loop().create_future()


def test_a_stream_gets_its_body_and_ends_when_the_process_does() -> None:
    seen: list[Any] = []

    async def stream(scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        seen.append(await receive())
        bridge._stopping.set()
        seen.append(await receive())

    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        return messages.pop() if messages else await never()

    bridge = WSGIBridge(echo, stream, frozenset({"/stream"}))
    asyncio.run(bridge(HTTP | {"path": "/stream", "method": "GET"}, receive, never))  # type: ignore[arg-type]
    assert [message["type"] for message in seen] == ["http.request", "http.disconnect"]
