"""What the benches share: a server of their own, a project loaded on it, calls timed by turns."""

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
sys.path.insert(0, str(ROOT))


@contextmanager
def redis_socket() -> Iterator[Path]:
    """The unix socket of a fresh server that keeps nothing.

    SERVER says which server: ``redis`` (the system's redis-server) or ``valkey`` (the one that the project brings).
    """
    folder = Path(tempfile.mkdtemp(prefix="avo-bench-"))
    socket = folder / "redis.sock"
    command = [_binary(), "--port", "0", "--unixsocket", str(socket), "--save", ""]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder)
    try:
        while not socket.exists():
            time.sleep(0.01)
        yield socket
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def loaded_project(**variables: str) -> Iterator[Path]:
    """The project set up on such a server and on a fresh database (SQLite, or DATABASE_URL's), with ``variables`` set;
    the server's socket."""
    with redis_socket() as socket:
        os.environ.update(AVO_DATA_DIR=str(socket.parent), REDIS_URL=f"unix://{socket}", LOG_LEVEL="ERROR", **variables)
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "avo_project.settings")
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        yield socket


def _binary() -> str:
    if SERVER == "redis":
        return shutil.which("redis-server") or "redis-server"
    if SERVER != "valkey":
        sys.exit(f"SERVER={SERVER} is neither redis nor valkey")
    from avo_project.embedded_redis.process import server_binary

    return str(server_binary())


def rate(work: Callable[[], int]) -> float:
    """What ``work`` did, a second."""
    start = time.perf_counter()
    return work() / (time.perf_counter() - start)


def show(name: str, figures: list[float], floors: list[float], unit: str, target: str = "") -> None:
    """The medians of runs beside their floors, and of the ratios of each run to its floor."""
    ratios = [figure / floor for figure, floor in zip(figures, floors, strict=True)]
    spread = f"{statistics.median(ratios):5.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    middle, floor = statistics.median(figures), statistics.median(floors)
    line = f"{name:50} {middle:12,.1f} {unit:4} floor {floor:12,.1f}  ratio {spread}"
    print(f"{line}  target {target}" if target else line)


def timed_by_turns(calls: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, tuple[float, float, float]]:
    """(p50, p99, mean processor time) of each call in µs; the processor time is this process's, without its server's.
    They take turns, so that a busy machine hurts all alike."""
    took: dict[str, list[float]] = {name: [] for name in calls}
    used = dict.fromkeys(calls, 0)
    for _ in range(rounds):
        for name, call in calls.items():
            used_before, began = time.process_time_ns(), time.perf_counter()
            call()
            took[name].append((time.perf_counter() - began) * 1e6)
            used[name] += time.process_time_ns() - used_before
    return {
        name: (statistics.median(times), statistics.quantiles(times, n=100)[98], used[name] / rounds / 1e3)
        for name, times in took.items()
    }


def print_beside(floor: str, calls: Mapping[str, Callable[[], Any]], rounds: int, targets: Mapping[str, str]) -> None:
    """RUNS runs; per call the median of the runs, and of its ratios to ``floor`` in the same run."""
    runs = [timed_by_turns(calls, rounds) for _ in range(RUNS)]
    for name in calls:
        p50, p99, used = (statistics.median(run[name][place] for run in runs) for place in (0, 1, 2))
        ratio, ratio_used = (statistics.median(run[name][at] / run[floor][at] for run in runs) for at in (0, 2))
        target = f"  (target {targets[name]})" if name in targets else ""
        print(
            f"{name:<48} p50 {p50:6.0f} µs  p99 {p99:6.0f} µs  processor {used:6.0f} µs  {1e6 / p50:7,.0f}/s"
            f"  {ratio:5.2f} x {floor}, {ratio_used:5.2f} x its processor time{target}"
        )
