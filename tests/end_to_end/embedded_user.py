"""Real processes that use the embedded server on request, and which processes serve a folder."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from avo_project.embedded_redis.process import SERVER_NAMES
from avo_project.embedded_redis.server import EmbeddedServer
from tests.end_to_end.system import eventually

GONE_WITHIN_SECONDS = 20
ROOT = Path(__file__).resolve().parent.parent.parent

# Reads a JSON list a line, a verb and its arguments, and answers with a JSON value a line.
PROGRAM = """
import json, os, sys, time
from redis import ConnectionError, ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from avo_project.embedded_redis.folder import ServerFolder
from avo_project.embedded_redis.server import EmbeddedServer
from avo_project.redis_client.clients import EmbeddedServerConnection
from avo_project.embedded_redis.folder import release_claim

clients = {}

def client_of(folder):
    if folder not in clients:
        EmbeddedServer(folder, idle_timeout_seconds=float(sys.argv[1])).ensure_running()
        options = dict(data_dir=folder, path="unused", client_name="avo-user", protocol=2, decode_responses=True)
        clients[folder] = Redis(
            connection_pool=ConnectionPool(EmbeddedServerConnection, retry=Retry(NoBackoff(), 0), **options)
        )
    return clients[folder]

def wait(instant):
    while time.time() < instant:
        pass

def ask(instant, folder, *command):
    wait(instant)
    try:
        return client_of(folder).execute_command(*command)
    except ConnectionError as error:
        return {"error": type(error).__name__, "text": str(error)}

def count(folder, key, seconds):
    "Increments for a while, however often the connection breaks; how many acknowledged values were gone afterwards."
    value, lost, end = int(client_of(folder).get(key) or 0), 0, time.time() + seconds
    while time.time() < end:
        try:
            value = client_of(folder).incr(key)
        except ConnectionError:
            found = int(client_of(folder).get(key) or 0)
            value, lost = found, lost + max(0, value - found)
    return lost

def stop(instant, folder):
    wait(instant)
    release_claim(ServerFolder.of(folder))
    return EmbeddedServer(folder).stop_if_unused()

def fork():
    child = os.fork()
    if child == 0:
        time.sleep(600)
    return child

for line in sys.stdin:
    verb, *words = json.loads(line)
    print(json.dumps({"ask": ask, "count": count, "stop": stop, "fork": fork}[verb](*words)), flush=True)
"""


class User:
    """A process that uses the server of any folder; killed with -9 at the end."""

    def __init__(self, idle_timeout_seconds: float = 0.5) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(idle_timeout_seconds)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def tell(self, verb: str, *words: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps([verb, *words]) + "\n")
        self.process.stdin.flush()

    def hear(self) -> Any:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def ask(self, folder: Path, *command: Any) -> Any:
        """The reply to a Redis command, or ``{"error", "text"}`` when there was no connection."""
        self.tell("ask", 0, str(folder), *command)
        return self.hear()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def run_id(reply: Any) -> str:
    """The server's identity in the reply to INFO."""
    return str(reply["run_id"])


def served_by(folder: Path) -> dict[int, str]:
    """Process id to command line of all that serve ``folder``, supervisor and server alike."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            place = (process / "cwd").readlink()
        except OSError:
            continue
        if is_alive(int(process.name)) and (place == folder or (str(folder) in command and "avo_project" in command)):
            found[int(process.name)] = command
    return found


def server_of(folder: Path) -> int:
    """Process id of the one server of ``folder``, as soon as there is one."""
    return _the_one(folder, lambda command: command.startswith(SERVER_NAMES))


def supervisor_of(folder: Path) -> int:
    """Process id of the one supervisor of ``folder``, as soon as whoever started it has gone."""
    return _the_one(folder, lambda command: "embedded_redis.supervisor" in command)


def _the_one(folder: Path, is_meant: Callable[[str], bool]) -> int:
    def found() -> list[int]:
        processes = [process for process, command in served_by(folder).items() if is_meant(command)]
        return processes if len(processes) == 1 else []

    [process] = eventually(found, pause_seconds=0.01)
    return int(process)


def kill(*processes: int) -> None:
    """kill -9, and the wait until it has worked; one that has just ended by itself is no less dead."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    eventually(lambda: not any(is_alive(process) for process in processes), pause_seconds=0.01)


def is_alive(process: int) -> bool:
    """Whether any of its threads is left: the first one to end keeps its sockets open for the others."""
    try:
        return _status(process)[0] != "Z" or len(list(Path(f"/proc/{process}/task").iterdir())) > 1
    except (FileNotFoundError, ProcessLookupError):
        return False


def parent_of(process: int) -> int:
    return int(_status(process)[1])


def _status(process: int) -> list[str]:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


@contextmanager
def empty_folder() -> Iterator[Path]:
    """A data folder to be made; in the end its server, if any is left, is stopped."""
    with tempfile.TemporaryDirectory(prefix="avo-embedded-", ignore_cleanup_errors=True) as name:
        path = Path(name).resolve() / "data"
        yield path
        assert EmbeddedServer(path).stop_if_unused()


def wait_gone(folder: Path) -> None:
    eventually(lambda: not served_by(folder), GONE_WITHIN_SECONDS)
