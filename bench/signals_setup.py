"""What the benches of the signals role share: a server of their own, a loaded project, medians beside floors."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RUNS = int(os.environ.get("RUNS", "5"))


@contextmanager
def prepared() -> Iterator[Any]:
    """A raw client of a fresh redis-server on a unix socket; the project is set up to use it and a fresh SQLite file.

    Run under ``taskset -c 1`` to have server and client on one processor.
    """
    sys.path.insert(0, str(ROOT))
    folder = Path(tempfile.mkdtemp(prefix="avo-bench-"))
    socket = folder / "redis.sock"
    command = [shutil.which("redis-server") or "redis-server", "--port", "0", "--unixsocket", str(socket), "--save", ""]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder)
    os.environ.update(AVO_DATA_DIR=str(folder), REDIS_URL=f"unix://{socket}", LOG_LEVEL="ERROR")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "avo_project.settings")
    try:
        import django
        from django.core.management import call_command
        from django_redis import get_redis_connection

        while not socket.exists():
            time.sleep(0.01)
        django.setup()
        call_command("migrate", verbosity=0)
        yield get_redis_connection("signals")
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def events(number: int) -> list[Any]:
    """Events of the five fields of the contract."""
    from signals_app.rules.event import Event

    return [Event(str(uuid.uuid4()), f"S{one}", "long", 0.5, 1_790_000_000_000 + one) for one in range(number)]


def fields(number: int) -> list[dict[str, str]]:
    """The same events as ready-made dictionaries, for the floor."""
    made = [one.as_fields() for one in events(number)]
    return [dict(zip(flat[::2], flat[1::2], strict=True)) for flat in made]


def per_second(number: int, run: Callable[[], object]) -> float:
    started_at = time.perf_counter()
    run()
    return number / (time.perf_counter() - started_at)


def compare(what: str, unit: str, floor: Callable[[], float], ours: Callable[[], float], target: str) -> None:
    """Runs both in turn, RUNS times, and prints the medians and their ratio."""
    pairs = [(floor(), ours()) for _ in range(RUNS)]
    low, high = statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)
    ratio = statistics.median(pair[1] / pair[0] for pair in pairs)
    print(f"{what}: floor {low:,.2f}, ours {high:,.2f} {unit}; ours/floor {ratio:.2f} (target {target})")
