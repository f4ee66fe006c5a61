"""Consumers as real processes in large numbers, forked from one that has loaded Django, so that each starts at once.

``python -m tests.signals_app.fork_server LOG`` reads one command a line (a JSON list) and answers with a process id.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent


class ForkServer:
    """Starts management commands as processes of their own; what they print goes to ``log``."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self.log = log

    def start(self, *command: str) -> int:
        """The process id of a new ``manage.py <command>``."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def fork_server(environment: dict[str, str], log: Path) -> Iterator[ForkServer]:
    """Its children outlive it unless they are ended."""
    command = [sys.executable, "-m", "tests.signals_app.fork_server", str(log)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield ForkServer(process, log)
    finally:
        process.kill()
        process.communicate()


def is_running(process: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _run_child(command: list[str], log: Path) -> Any:
    from django.core.management import call_command

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with log.open("a") as out:
        for stream in (0, 1, 2):
            os.dup2(out.fileno(), stream)
        sys.stdout = sys.stderr = out
        call_command(*command)


def _main() -> None:
    import django

    django.setup()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the children
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                _run_child(json.loads(line), Path(sys.argv[1]))
                status = 0
            finally:
                os._exit(status)
        print(child, flush=True)


if __name__ == "__main__":
    _main()
