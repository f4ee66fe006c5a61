"""The live feed under a real ASGI server."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import orjson
import pytest

from tests.end_to_end.system import ROOT, WEB_SERVER, data_folder, environment_for, eventually, free_port, manage
from tests.signals_app.conftest import fields

MAKE_TOKEN = """
from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token
print(Token.objects.create(user=User.objects.create_user("reader")).key)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with data_folder() as made:
        yield made


def test_a_reader_follows_and_comes_back(folder: Path) -> None:
    environment = environment_for(folder, free_port())
    with feed(environment) as (url, headers):
        assert httpx.get(url).status_code == 401
        first = follow(url, headers, lambda: publish(environment, folder, 1))
        publish(environment, folder, 2)
        second = follow(url, headers | {"Last-Event-ID": first["id"]}, lambda: None)
        assert (first["signal_id"][-1], second["signal_id"][-1]) == ("1", "2")


def test_opening_the_feed_counts_against_the_callers_limit(folder: Path) -> None:
    environment = environment_for(folder, free_port()) | {"THROTTLE_RATES": "institutional=3/min"}
    with feed(environment) as (url, headers):
        left = []
        for _ in range(3):
            with httpx.stream("GET", url, headers=headers, timeout=30) as answer:
                assert answer.status_code == 200
                left.append(answer.headers["RateLimit"].partition("r=")[2].partition(";")[0])
        assert left == ["2", "1", "0"]
        refused = httpx.get(url, headers=headers, timeout=30)
        assert (refused.status_code, refused.headers["Content-Type"]) == (429, "application/problem+json")
        assert int(refused.headers["Retry-After"]) > 0
        page = httpx.get(url.removesuffix("/stream"), headers=headers, timeout=30)
        assert page.status_code == 429, "one limit for the feed and the other routes"


@contextmanager
def feed(environment: dict[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    """The application under the web server: the feed's address, and the headers of somebody who may read it."""
    manage(environment, "consume_signals", "--stop-when-idle")
    token = manage(environment, "shell", "--no-imports", "-c", MAKE_TOKEN).strip()
    command = [*WEB_SERVER, "--workers", "1"]
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        root = f"http://127.0.0.1:{environment['PORT']}"
        eventually(lambda: httpx.get(f"{root}/livez").status_code == 200)
        yield f"{root}/api/signals/stream", {"Authorization": f"Token {token}"}
    finally:
        server.terminate()
        server.wait(timeout=20)


def follow(url: str, headers: dict[str, str], once_connected: object) -> dict[str, str]:
    """The first event that comes after the connection is up."""
    with httpx.stream("GET", url, headers=headers, timeout=30) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        for line in answer.iter_lines():
            if line == ": connected":
                once_connected()  # type: ignore[operator]
            if line.startswith("data: "):
                return dict(orjson.loads(line.removeprefix("data: ")))
    raise AssertionError("the server ended the feed")


def publish(environment: dict[str, str], folder: Path, number: int) -> None:
    path = folder / "one.ndjson"
    path.write_bytes(orjson.dumps(fields(number)))
    manage(environment, "publish_signals", str(path))
