"""The listening socket of the web server and the errors of an unusable address."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from avo_project.web_server import bound_socket, inherited_socket, port_from

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def taken() -> socket.socket:
    with bound_socket("127.0.0.1", 0) as listener:
        yield listener


def test_a_taken_port_is_told_in_one_line(taken: socket.socket) -> None:
    port = taken.getsockname()[1]
    with pytest.raises(SystemExit, match=rf"^PORT: 127\.0\.0\.1:{port} cannot be used: Address already in use\."):
        bound_socket("127.0.0.1", port)


@pytest.mark.parametrize("given", ["0", "65536", "-1", "8000x", "", "\u0661", "1e3"])
def test_what_is_no_port_is_refused_by_name(given: str) -> None:
    with pytest.raises(SystemExit, match=r"^PORT: "):
        port_from(given)


def test_an_unknown_log_level_ends_the_server_in_one_line(tmp_path: Path) -> None:
    environment = os.environ | {"PORT": "0", "LOG_LEVEL": "LOUD", "AVO_DATA_DIR": str(tmp_path)}
    listen = "from avo_project import web_server as w; w.serve(w.bound_socket('127.0.0.1', 0))"
    done = subprocess.run(
        [sys.executable, "-c", listen],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line == "LOG_LEVEL: cannot be used. Write DEBUG, INFO, WARNING, ERROR or CRITICAL."


def test_sockets_for_another_process_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid() + 1))
    monkeypatch.setenv("LISTEN_FDS", "1")
    assert inherited_socket() is None
    assert "LISTEN_FDS" not in os.environ, "or a child would take them for its own"


def test_the_ports_of_both_servers_are_looked_at_before_anything_is_loaded(
    taken: socket.socket, tmp_path: Path
) -> None:
    """`make run`: the live feed has the port 100 above that of the API."""
    port = taken.getsockname()[1]
    first = port - 100
    environment = os.environ | {"PORT": str(first), "AVO_DATA_DIR": str(tmp_path / "data")}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        ["bin/run"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith(f"PORT: 127.0.0.1:{port} cannot be used")
    assert done.stdout == ""
