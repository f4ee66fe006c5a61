"""A Redis server with the users of the roles and no others."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from avo_project.embedded_redis.process import server_binary
from avo_project.redis_client.acl import acl_file
from avo_project.redis_client.roles import ROLES
from avo_project.redis_client.urls import parse_redis_url

_ADMIN = "user admin on >admin allkeys allchannels +@all\n"


@dataclass(frozen=True)
class AclServer:
    """``urls``: variable of each role to its URL on this server."""

    socket: Path
    urls: dict[str, str]

    def admin(self) -> Redis:
        return Redis(unix_socket_path=str(self.socket), username="admin", password="admin", protocol=2)

    def refusals(self) -> list[str]:
        """What users were refused since the server started."""
        log = self.admin().acl_log()
        return [f"{entry['username']}: {entry['reason']} {entry['object']}" for entry in log]


def binaries() -> list[str]:
    """Debian's server, if there is one, and the one inside our wheel."""
    return [*filter(None, [shutil.which("redis-server")]), str(server_binary())]


@contextmanager
def acl_server(binary: str) -> Iterator[AclServer]:
    with tempfile.TemporaryDirectory(prefix="avo-acl-") as name:
        folder = Path(name)
        socket = folder / "r.sock"
        urls = {role.variable: f"unix://{_user(role.alias)}:pass-{role.alias}@{socket}" for role in ROLES}
        targets = {role.alias: parse_redis_url(urls[role.variable]) for role in ROLES}
        (folder / "users.acl").write_text(acl_file(targets) + _ADMIN)
        options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", name]
        command = [binary, *options, "--aclfile", str(folder / "users.acl"), "--acllog-max-len", "10000"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            _wait(socket, process)
            yield AclServer(socket, urls)
        finally:
            process.terminate()
            process.wait(timeout=10)


def _user(alias: str) -> str:
    return "cache" if alias == "default" else alias


def _wait(socket: Path, process: "subprocess.Popen[bytes]") -> None:
    waiting = Redis(
        unix_socket_path=str(socket), username="admin", password="admin", retry=Retry(ConstantBackoff(0.05), 200)
    )
    try:
        waiting.ping()
    except RedisError as failure:
        pytest.fail(f"the server did not take the users (status {process.poll()}): {failure}")
