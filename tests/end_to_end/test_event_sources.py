"""Standard EventSource clients connect to the live feed, receive and resume. Chromium's is in browser/."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import httpx_sse
import pytest

from tests.end_to_end.feed_server import FeedServer, feed_server, installed_event_source
from tests.end_to_end.system import data_folder


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with data_folder() as folder, feed_server(folder) as running:
        yield running


def test_httpx_sse(server: FeedServer) -> None:
    def follow(**last: str) -> Iterator[httpx_sse.ServerSentEvent]:
        headers = server.headers | last
        with (
            httpx.Client(timeout=30) as client,
            httpx_sse.connect_sse(client, "GET", server.url, headers=headers) as source,
        ):
            assert source.response.request.headers["Accept"] == "text/event-stream"
            assert source.response.status_code == 200
            yield from source.iter_sse()

    server.publish(1)
    first = next(follow(**{"Last-Event-ID": "0-0"}))
    server.publish_while_stopped(2)
    second = next(follow(**{"Last-Event-ID": first.id}))
    assert [event.event for event in (first, second)] == ["signal", "signal"]
    assert [event.json()["signal_id"][-1] for event in (first, second)] == ["1", "2"]


def test_the_npm_package_eventsource(server: FeedServer, tmp_path: Path) -> None:
    folder = installed_event_source(tmp_path)
    command = ["node", "follow.mjs", server.url, f"Bearer {server.token}"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        try:
            assert client.stdout.readline() == "open\n"
            server.publish(1)
            assert client.stdout.readline() == "1\n"
            server.publish_while_stopped(2)
            assert [client.stdout.readline() for _ in range(2)] == ["open\n", "2\n"]
        finally:
            client.kill()
