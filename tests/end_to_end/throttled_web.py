"""The web server over the project with a Redis that a test may kill, and a Clerk of its own."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from redis import Redis
from redis.exceptions import RedisError

from avo_project.embedded_redis.process import server_binary
from tests.end_to_end.system import (
    ROOT,
    STARTS_WITHIN_SECONDS,
    WEB_SERVER,
    environment_for,
    eventually,
    free_port,
    manage,
)


@dataclass
class OwnRedis:
    """A server on a socket in ``folder``, started and killed at will; what it held is gone with it."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "own.sock"

    def client(self) -> Redis:
        return Redis(unix_socket_path=str(self.socket), protocol=2)

    def start(self) -> None:
        command = [
            str(server_binary()),
            "--port",
            "0",
            "--unixsocket",
            str(self.socket),
            "--save",
            "",
            "--dir",
            str(self.folder),
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        eventually(self._answers, 30, 0.02)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except RedisError:
            return False


def children(server: int) -> list[int]:
    """The workers of a web server."""
    pids = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    return [int(pid) for pid in pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@dataclass
class Web:
    """A running web server. A kept-alive connection would stay with one worker, so each request has its own."""

    port: int
    environment: dict[str, str]
    process: subprocess.Popen[bytes]
    statuses: list[int] = field(default_factory=list)
    client: httpx.Client = field(
        default_factory=lambda: httpx.Client(timeout=60, limits=httpx.Limits(max_keepalive_connections=0))
    )

    def get(self, path: str, token: str | None = None, **headers: str) -> httpx.Response:
        return self.request("GET", path, token, **headers)

    def request(self, method: str, path: str, token: str | None = None, **headers: str) -> httpx.Response:
        bearer = {"Authorization": f"Bearer {token}"} if token is not None else {}
        url = f"http://127.0.0.1:{self.port}{path}"
        response = self.client.request(method, url, headers={**bearer, **headers})
        self.statuses.append(response.status_code)
        return response

    def metric(self, name: str) -> float:
        lines = self.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.partition("{")[0].partition(" ")[0] == name)

    def workers(self) -> list[int]:
        """The processes that serve, now."""
        return children(self.process.pid)

    def manage(self, *command: str) -> str:
        return manage(self.environment, *command)


@contextmanager
def web(folder: Path, workers: int = 4, log: Path | None = None, **variables: Any) -> Iterator[Web]:
    """The web server with ``workers`` processes; ``variables`` are added to its environment."""
    port = free_port()
    given = {name: str(value) for name, value in variables.items()}
    environment = {**environment_for(folder, port), "WEB_CONCURRENCY": str(workers), "LOG_LEVEL": "ERROR", **given}
    manage(environment, "migrate", "--verbosity", "0")
    with (log or Path(os.devnull)).open("w") as stderr:
        process = subprocess.Popen(WEB_SERVER, cwd=ROOT, env=environment, stderr=stderr)
    running = Web(port, environment, process)
    try:
        eventually(lambda: running.get("/livez").status_code == 200, STARTS_WITHIN_SECONDS)
        yield running
    finally:
        running.client.close()
        process.terminate()
        process.wait(timeout=60)
