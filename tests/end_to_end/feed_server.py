"""The live feed under the web server, which a test may stop, start again and publish to."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import orjson
import pytest

from tests.end_to_end.system import (
    ROOT,
    STARTS_WITHIN_SECONDS,
    WEB_SERVER,
    environment_for,
    eventually,
    free_port,
    manage,
)
from tests.signals_app.conftest import fields

_MAKE_TOKEN = """
from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token
print(Token.objects.create(user=User.objects.create_user("reader")).key)
"""
_NPM_FOLDER = Path(__file__).parent / "event_source"


class FeedServer:
    """One web server on a data folder; ``url`` is the feed's address, ``token`` an API key that may read it."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.environment = environment_for(folder, free_port()) | variables
        self.root = f"http://127.0.0.1:{self.environment['PORT']}"
        self.url = f"{self.root}/api/signals/stream"
        self._folder = folder
        manage(self.environment, "consume_signals", "--stop-when-idle")
        self.token = manage(self.environment, "shell", "--no-imports", "-c", _MAKE_TOKEN).strip()
        self.headers = {"Authorization": f"Token {self.token}"}

    def start(self) -> None:
        self.process = subprocess.Popen(
            [*WEB_SERVER, "--workers", "1"],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(lambda: httpx.get(f"{self.root}/livez").status_code == 200, STARTS_WITHIN_SECONDS)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)

    def publish(self, *numbers: int) -> None:
        path = self._folder / "signals.ndjson"
        path.write_bytes(b"\n".join(orjson.dumps(fields(number)) for number in numbers))
        manage(self.environment, "publish_signals", str(path))

    def publish_while_stopped(self, number: int) -> None:
        """Whoever was connected must resume to get it."""
        self.stop()
        self.publish(number)
        self.start()


@contextmanager
def feed_server(folder: Path, **variables: str) -> Iterator[FeedServer]:
    server = FeedServer(folder, **variables)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def installed_event_source(folder: Path) -> Path:
    """``folder`` with the npm package eventsource in it; a laptop may do without Node, CI may not."""
    for path in _NPM_FOLDER.iterdir():
        shutil.copy(path, folder)
    why = "npm is not on the PATH: apt-get install nodejs npm"
    if shutil.which("npm"):
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=240)
        if done.returncode == 0:
            return folder
        why = f"npm could not install eventsource: {done.stderr[-500:]}"
    if os.environ.get("CI"):
        pytest.fail(why)
    return pytest.skip(why)
