"""The live feed under a real ASGI server."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import pytest

from tests.end_to_end.system import ROOT, data_folder, environment_for, eventually, free_port, manage
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
    port = free_port()
    environment = environment_for(folder, port)
    manage(environment, "consume_signals", "--stop-when-idle")
    token = manage(environment, "shell", "--no-imports", "-c", MAKE_TOKEN).strip()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "avo_project.asgi:application",
        "--port",
        str(port),
        "--lifespan",
        "off",
    ]
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: httpx.get(f"http://127.0.0.1:{port}/livez").status_code == 200)
        url = f"http://127.0.0.1:{port}/api/signals/stream"
        assert httpx.get(url).status_code == 401
        headers = {"Authorization": f"Token {token}"}
        first = follow(url, headers, lambda: publish(environment, folder, 1))
        publish(environment, folder, 2)
        second = follow(url, headers | {"Last-Event-ID": first["id"]}, lambda: None)
        assert (first["signal_id"][-1], second["signal_id"][-1]) == ("1", "2")
    finally:
        server.kill()
        server.wait()


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
