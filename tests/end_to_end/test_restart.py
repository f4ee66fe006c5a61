"""Restart, reload, upgrade and roll back under load: no request fails."""

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.load import load
from tests.end_to_end.nginx import nginx
from tests.end_to_end.system import ROOT, STARTS_WITHIN_SECONDS, data_folder, environment_for, eventually, manage
from tests.end_to_end.throttled_web import children

_AS_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "-m", "avo_project.web_server"])
"""


@dataclass
class Service:
    """avo-web as systemd runs it: the manager keeps the listening socket, the server comes and goes."""

    listener: socket.socket
    environment: dict[str, str]
    code: Path = ROOT
    process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def start(self) -> None:
        descriptor = self.listener.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _AS_SYSTEMD, str(descriptor)],
            cwd=self.code,
            env=self.environment,
            pass_fds=[descriptor],
            stderr=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        process.terminate()
        try:
            assert process.wait(timeout=15) == 0  # TimeoutStopSec of the unit
        finally:
            process.kill()
            process.wait()

    def restart(self) -> None:
        self.stop()
        self.start()
        assert httpx.get(f"http://127.0.0.1:{self.port}/livez", timeout=STARTS_WITHIN_SECONDS).status_code == 200

    def reload(self) -> None:
        """HUP, until only new workers serve."""
        assert self.process is not None
        before = set(children(self.process.pid))
        self.process.send_signal(signal.SIGHUP)
        pid = self.process.pid
        eventually(lambda: len(now := set(children(pid))) == len(before) and not now & before, 60)

    def manage(self, *command: str) -> str:
        return manage(self.environment, *command)


@contextmanager
def service(folder: Path, code: Path = ROOT) -> Iterator[Service]:
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        environment = environment_for(folder, listener.getsockname()[1]) | {"LOG_LEVEL": "ERROR"}
        manage(environment, "migrate", "--verbosity", "0")
        running = Service(listener, environment, code)
        running.start()
        try:
            assert httpx.get(f"http://127.0.0.1:{running.port}/livez", timeout=STARTS_WITHIN_SECONDS).is_success
            yield running
        finally:
            running.stop()


@pytest.mark.parametrize("change", [Service.restart, Service.reload], ids=["restart", "reload"])
def test_no_request_behind_nginx_fails(tmp_path: Path, change: Callable[[Service], None]) -> None:
    with data_folder() as folder, service(folder) as running, nginx(tmp_path, behind=running.port) as port:
        with load(f"http://127.0.0.1:{port}/livez", seconds=15) as outcome:
            for _ in range(2):
                time.sleep(1)
                change(running)
        assert outcome.lost == 0
        assert set(outcome.statuses) == {200}, outcome.statuses


def test_a_connection_accepted_before_the_signal_is_answered() -> None:
    """A client of its own, since a proxy leaves microseconds between connection and request."""
    with data_folder() as folder, service(folder) as running:
        for _ in range(3):
            with (
                socket.create_connection(("127.0.0.1", running.port), timeout=15) as client,
                ThreadPoolExecutor(1) as background,
            ):
                time.sleep(0.05)  # a worker accepts it
                stopping = background.submit(running.stop)
                time.sleep(0.05)  # the worker gets the signal
                client.sendall(b"GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.0 200")
                stopping.result()
            running.restart()


def test_a_reload_of_code_that_cannot_be_loaded_changes_nothing(tmp_path: Path) -> None:
    copy = tmp_path / "avo"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "var", "tests", "node_modules", "__pycache__"))
    with data_folder() as folder, service(folder, copy) as running:
        assert running.process is not None
        before = set(children(running.process.pid))
        application = copy / "avo_project" / "asgi.py"
        text = application.read_text()
        application.write_text(f"{text}\n)")
        running.process.send_signal(signal.SIGHUP)
        eventually(lambda: set(children(running.process.pid)) - before)
        eventually(lambda: set(children(running.process.pid)) == before)
        assert httpx.get(f"http://127.0.0.1:{running.port}/livez").status_code == 200
        application.write_text(text)
        running.reload()
        assert httpx.get(f"http://127.0.0.1:{running.port}/livez").status_code == 200


def test_the_runbook_upgrades_and_rolls_back_without_a_failed_request(tmp_path: Path) -> None:
    """The commands of docs/operations.md in their order, on the tables of the version before."""
    steps = runbook_commands()
    restart = "systemctl restart 'avo-*.service'"
    assert steps == ["migrate --plan", "migrate --no-input", restart, restart]
    with data_folder() as folder, service(folder) as running, nginx(tmp_path, behind=running.port) as port:
        running.manage("migrate", "outreach", "0005")
        with load(f"http://127.0.0.1:{port}/readyz", seconds=20) as outcome:
            for step in steps:
                if step == restart:
                    running.restart()
                else:
                    running.manage(*step.split())
        assert outcome.lost == 0
        assert set(outcome.statuses) <= {200, 503}, outcome.statuses
        assert outcome.statuses[200] > 0
        assert httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200


def runbook_commands() -> list[str]:
    """What the section has this project and systemd do; how the files come there is not for a test."""
    text = (ROOT / "docs" / "operations.md").read_text()
    section = text.partition("### Upgrade and roll back\n")[2].partition("\n### ")[0]
    lines = [line for block in section.split("```\n")[1::2] for line in block.splitlines()]
    return [line.removeprefix("python manage.py ") for line in lines if not line.startswith(("git ", ".venv/bin/pip "))]
