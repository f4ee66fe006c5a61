"""Starts the project's real processes in a folder of their own, and finds every one of them again."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from avo_project.embedded_redis.server import EmbeddedServer

ROOT = Path(__file__).resolve().parent.parent.parent
STARTS_WITHIN_SECONDS = 60
WEB_SERVER = (sys.executable, "-m", "avo_project.web_server")


@dataclass
class System:
    """One running ``bin/run``: its data folder, its address and its processes."""

    data_dir: Path
    port: int
    process: subprocess.Popen[str]
    environment: dict[str, str]

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=30, **options)

    @contextmanager
    def operator(self) -> Iterator[httpx.Client]:
        """A browser in which the operator has logged in to the admin."""
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}", follow_redirects=True, timeout=30) as browser:
            token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get("/admin/login/").text)
            password = (self.data_dir / "operator_password").read_text()
            form = {"username": "operator", "password": password, "csrfmiddlewaretoken": token and token[1]}
            assert browser.post("/admin/login/", data=form | {"next": "/admin/"}).url.path == "/admin/"
            yield browser

    def manage(self, *command: str) -> str:
        return manage(self.environment, *command)

    def redis(self) -> Redis:
        return Redis(unix_socket_path=str(EmbeddedServer(self.data_dir).socket_path))

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Signals only the process that was started, as a service manager does; its exit status and output."""
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=30)
        return self.process.returncode, output


def manage(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def data_folder() -> Iterator[Path]:
    """A short path, because a socket's path has at most 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="avo-e2e-"))
    try:
        yield folder
    finally:
        EmbeddedServer(folder).stop_if_unused()
        shutil.rmtree(folder, ignore_errors=True)


def environment_for(data_dir: Path, port: int = 0) -> dict[str, str]:
    """No signal comes by itself: AVO_DEMO_SIGNALS_PER_MINUTE is 0."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith("REDIS_URL")}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {
        **kept,
        "PATH": path,
        "AVO_DATA_DIR": str(data_dir),
        "PORT": str(port),
        "DJANGO_SETTINGS_MODULE": "avo_project.settings",
        "AVO_DEMO_SIGNALS_PER_MINUTE": "0",
    }


def start_system(data_dir: Path, **variables: str) -> System:
    port = free_port()
    environment = environment_for(data_dir, port) | variables
    process = subprocess.Popen(
        ["bin/run"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return System(data_dir, port, process, environment)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(what: Callable[[], Any], seconds: float = 30, pause_seconds: float = 0.1) -> Any:
    """The first true result of ``what``; a refused connection counts as not yet. Fails after ``seconds``."""
    until = time.monotonic() + seconds
    while True:
        try:
            if result := what():
                return result
        except (httpx.TransportError, ConnectionError, RedisConnectionError) as failure:
            result = failure
        assert time.monotonic() < until, f"not within {seconds} s: {result!r}"
        time.sleep(pause_seconds)


def processes_of(data_dir: Path) -> dict[int, str]:
    """The ids and command lines of all processes that were started with this data folder, but this one."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = (folder / "environ").read_bytes()
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z" and (str(data_dir) in command or f"AVO_DATA_DIR={data_dir}".encode() in environment):
            found[int(folder.name)] = command
    return found
