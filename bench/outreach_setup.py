"""What the benches of outreach share: a redis-server of their own, the project loaded on it, medians beside floors."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


@contextmanager
def redis_socket() -> Iterator[Path]:
    """The unix socket of a fresh server that keeps nothing."""
    folder = Path(tempfile.mkdtemp(prefix="avo-bench-"))
    socket = folder / "redis.sock"
    command = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            time.sleep(0.01)
        yield socket
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def project() -> Iterator[Path]:
    """The project set up on such a server and on a fresh database: SQLite, or DATABASE_URL's."""
    with redis_socket() as socket:
        os.environ.update(AVO_DATA_DIR=str(socket.parent), REDIS_URL=f"unix://{socket}", LOG_LEVEL="ERROR")
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "avo_project.settings")
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        yield socket


def rate(work: Callable[[], int]) -> float:
    """What ``work`` did, a second."""
    start = time.perf_counter()
    return work() / (time.perf_counter() - start)


def show(name: str, figures: list[float], floors: list[float], unit: str, target: str = "") -> None:
    ratios = [figure / floor for figure, floor in zip(figures, floors, strict=True)]
    spread = f"{statistics.median(ratios):5.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    middle, floor = statistics.median(figures), statistics.median(floors)
    line = f"{name:50} {middle:12,.1f} {unit:4} floor {floor:12,.1f}  ratio {spread}"
    print(f"{line}  target {target}" if target else line)
