"""Servers of a Redis Cluster, for tests that need one."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.end_to_end.system import eventually

_PORTS = range(12_000, 13_000)  # a node talks to the others on its port + 10,000


def free_node_ports(count: int) -> list[int]:
    """Skips the test where Debian's Redis is not installed."""
    if shutil.which("redis-server") is None or shutil.which("redis-cli") is None:
        pytest.skip("redis-server and redis-cli are not on the PATH: apt-get install redis-server")
    free = (port for port in _PORTS if _is_free(port))
    return [next(free) for _ in range(count)]


def _is_free(port: int) -> bool:
    with socket.socket() as probe, socket.socket() as bus:
        try:
            probe.bind(("127.0.0.1", port))
            bus.bind(("127.0.0.1", port + 10_000))
        except OSError:
            return False
    return True


def cli(port: int, *command: str) -> str:
    done = subprocess.run(["redis-cli", "-p", str(port), *command], capture_output=True, text=True, check=False)
    return done.stdout.strip()


@contextmanager
def node(folder: Path, port: int) -> Iterator[int]:
    """Runs one server; started again in the same ``folder`` it knows its slots."""
    own = folder / str(port)
    own.mkdir(exist_ok=True)
    options = ["--port", str(port), "--bind", "127.0.0.1", "--cluster-enabled", "yes", "--save", "", "--dir", str(own)]
    process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: cli(port, "ping") == "PONG")
        yield port
    finally:
        process.kill()
        process.wait()
