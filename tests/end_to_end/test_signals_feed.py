"""The live feed under a real ASGI server."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import httpx_sse
import orjson
import pytest

from tests.end_to_end.feed_server import feed_server
from tests.end_to_end.system import data_folder
from tests.throttling.clerk import ISSUER, KEY, token
from throttling.domain.clerk_token import LEEWAY_SECONDS


@pytest.fixture
def folder() -> Iterator[Path]:
    with data_folder() as made:
        yield made


def test_a_reader_follows_and_comes_back(folder: Path) -> None:
    with feed_server(folder) as server:
        assert httpx.get(server.url).status_code == 401
        first = follow(server.url, server.headers, lambda: server.publish(1))
        server.publish(2)
        second = follow(server.url, server.headers | {"Last-Event-ID": first["id"]}, lambda: None)
        assert (first["signal_id"][-1], second["signal_id"][-1]) == ("1", "2")


def test_opening_the_feed_counts_against_the_callers_limit(folder: Path) -> None:
    with feed_server(folder, THROTTLE_RATES="institutional=3/min") as server:
        left = []
        for _ in range(3):
            with httpx.stream("GET", server.url, headers=server.headers, timeout=30) as answer:
                assert answer.status_code == 200
                left.append(answer.headers["RateLimit"].partition("r=")[2].partition(";")[0])
        assert left == ["2", "1", "0"]
        refused = httpx.get(server.url, headers=server.headers, timeout=30)
        assert (refused.status_code, refused.headers["Content-Type"]) == (429, "application/problem+json")
        assert int(refused.headers["Retry-After"]) > 0
        page = httpx.get(server.url.removesuffix("/stream"), headers=server.headers, timeout=30)
        assert page.status_code == 429, "one limit for the feed and the other routes"


def test_a_stream_ends_with_its_token_and_another_token_resumes(folder: Path) -> None:
    with feed_server(folder, CLERK_ISSUER=ISSUER, CLERK_JWT_KEY=KEY.pem) as server:

        def events(lives_seconds: float, **last: str) -> Iterator[httpx_sse.ServerSentEvent]:
            """From a stream whose token ends in so many seconds, leeway included."""
            headers = {"Authorization": f"Bearer {token(exp=time.time() + lives_seconds - LEEWAY_SECONDS)}", **last}
            with (
                httpx.Client(timeout=30) as client,
                httpx_sse.connect_sse(client, "GET", server.url, headers=headers) as source,
            ):
                assert source.response.status_code == 200
                yield from source.iter_sse()

        server.publish(1)
        signal, end = events(6, **{"Last-Event-ID": "0-0"})
        assert (signal.event, end.event, end.id) == ("signal", "reauthenticate", signal.id)
        server.publish(2)
        resumed = next(events(60, **{"Last-Event-ID": end.id}))
        assert resumed.json()["signal_id"][-1] == "2"


def test_long_backlogs_are_charged_and_hold_up_nobody(folder: Path) -> None:
    entries = 30_000
    with feed_server(folder) as server:
        server.publish(*range(entries))

        def read_all(_: int) -> int:
            headers = server.headers | {"Last-Event-ID": "0-1"}
            read = 0
            with httpx.stream("GET", server.url, headers=headers, timeout=60) as answer:
                for line in answer.iter_lines():
                    read += line == "event: signal"
                    if read == entries:
                        return read
            raise AssertionError("the server ended the feed")

        answered = 0
        with ThreadPoolExecutor(6) as readers:
            streams = [readers.submit(read_all, number) for number in range(6)]
            while not all(one.done() for one in streams):
                assert httpx.get(f"{server.root}/livez", timeout=30).status_code == 200
                answered += 1
        assert [one.result() for one in streams] == [entries] * 6
        assert answered >= 10, "the process answers while it sends"
        limits = httpx.get(f"{server.root}/api/limits", headers=server.headers).json()
        assert limits["policies"][0]["remaining"] <= 6_000 - 6 * (1 + entries // 500 - 1)


def follow(url: str, headers: dict[str, str], once_connected: Callable[[], None]) -> dict[str, str]:
    """The first event that comes after the connection is up."""
    with httpx.stream("GET", url, headers=headers, timeout=30) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        for line in answer.iter_lines():
            if line == ": connected":
                once_connected()
            if line.startswith("data: "):
                return dict(orjson.loads(line.removeprefix("data: ")))
    raise AssertionError("the server ended the feed")
