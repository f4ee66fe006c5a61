"""What the benches of limits and HTTP share: a server of their own, a loaded project, calls timed by turns."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RUNS = int(os.environ.get("RUNS", "5"))
SERVER = os.environ.get("SERVER", "redis")


@contextmanager
def loaded_project(**variables: str) -> Iterator[Path]:
    """The project set up on a fresh server and database, with ``variables`` set; the server's socket.

    SERVER says which server: ``redis`` (the system's redis-server) or ``valkey`` (the one that the project brings).
    """
    sys.path.insert(0, str(ROOT))
    folder = Path(tempfile.mkdtemp(prefix="avo-bench-"))
    socket = folder / "redis.sock"
    command = [_binary(), "--port", "0", "--unixsocket", str(socket), "--save", ""]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder)
    os.environ.update(AVO_DATA_DIR=str(folder), REDIS_URL=f"unix://{socket}", LOG_LEVEL="ERROR", **variables)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "avo_project.settings")
    try:
        import django
        from django.core.management import call_command

        while not socket.exists():
            time.sleep(0.01)
        django.setup()
        call_command("migrate", verbosity=0)
        yield socket
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _binary() -> str:
    if SERVER == "redis":
        return shutil.which("redis-server") or "redis-server"
    if SERVER != "valkey":
        sys.exit(f"SERVER={SERVER} is neither redis nor valkey")
    from avo_project.embedded_process import server_binary

    return str(server_binary())


def timed_by_turns(calls: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, tuple[float, float]]:
    """(p50, p99) of each call in µs. They take turns, so that a busy machine hurts all alike."""
    took: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            took[name].append((time.perf_counter() - began) * 1e6)
    return {name: (statistics.median(times), statistics.quantiles(times, n=100)[98]) for name, times in took.items()}


def print_beside(floor: str, calls: Mapping[str, Callable[[], Any]], rounds: int, targets: Mapping[str, str]) -> None:
    """RUNS runs; per call the median of the runs, and of its ratios to ``floor`` in the same run."""
    runs = [timed_by_turns(calls, rounds) for _ in range(RUNS)]
    for name in calls:
        p50, p99 = (statistics.median(run[name][place] for run in runs) for place in (0, 1))
        ratio = statistics.median(run[name][0] / run[floor][0] for run in runs)
        target = f"  (target {targets[name]})" if name in targets else ""
        rate = f"{1e6 / p50:7,.0f}/s"
        print(f"{name:<48} p50 {p50:6.0f} µs  p99 {p99:6.0f} µs  {rate}  {ratio:5.2f} x {floor}{target}")
