"""What the benches of the regime role share: a universe of states, and a reader beside whatever else goes on."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STATES = int(os.environ.get("STATES", "209033"))
RUNS = int(os.environ.get("RUNS", "5"))


def universe(computed_at: float) -> list[Any]:
    """STATES full states of four decimals."""
    import numpy as np

    from regime.domain.state import FIELDS, RegimeState

    table = np.random.default_rng(1).integers(0, 10_001, (STATES, len(FIELDS))) / 10_000
    return [RegimeState(f"SYM{n:06}", computed_at, tuple(scores)) for n, scores in enumerate(table.tolist())]


def fill(client: Any, with_ttl: bool = True) -> None:
    """An emptied server with the universe on it, written as fast as it goes, with or without expiry and publication."""
    from avo_project.redis_client.persistent_connection import Pipeline, pack
    from regime.domain.state import FIELDS, encode_scores

    client.flushall()
    now = int(time.time())
    names = [field.encode() for field in FIELDS]
    with Pipeline(client) as window:
        for start in range(0, STATES, 500):
            commands = []
            for state in universe_slice(now, start, 500):
                pairs = [
                    part for pair in zip(names, encode_scores(state.scores).split(b","), strict=True) for part in pair
                ]
                commands.append(pack("HSET", f"argus:regime:{state.symbol}", "computed_at", now, *pairs))
                if with_ttl:
                    commands.append(pack("EXPIRE", f"argus:regime:{state.symbol}", 86_400))
            window.post(b"".join(commands), len(commands))
            if len(window) > 1:
                window.receive()
        while len(window):
            window.receive()


_universe: list[Any] = []


def universe_slice(computed_at: float, start: int, count: int) -> list[Any]:
    if not _universe:
        _universe.extend(universe(computed_at))
    return _universe[start : start + count]


def seconds_of(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


@contextmanager
def reading(socket: Path | None = None, per_second: int = 1_000) -> Iterator[dict[str, float]]:
    """A process beside the block that reads states through StateCache, of another server when its ``socket`` is given;
    its percentiles in µs, after the block."""
    reader = subprocess.Popen(
        [sys.executable, __file__, str(per_second)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "REDIS_URL": f"unix://{socket}"} if socket else None,
    )
    assert reader.stdout is not None
    reader.stdout.readline()
    found: dict[str, float] = {}
    try:
        yield found
    finally:
        found |= json.loads(reader.communicate("stop\n")[0])


def read_until_stopped(per_second: int) -> None:
    import random
    import select

    import django

    django.setup()
    from regime.store.state_cache import StateCache

    states = StateCache.connect()
    dice = random.Random(2)
    took, late = [], []
    for _ in range(200):
        states.get("SYM000000")
    print("reading", flush=True)
    due = time.perf_counter()
    while not select.select([sys.stdin], [], [], 0)[0]:
        due += 1 / per_second
        while (wait := due - time.perf_counter()) > 0:
            time.sleep(wait)
        began = time.perf_counter()
        states.get(f"SYM{dice.randrange(STATES):06}")
        ended = time.perf_counter()
        took.append((ended - began) * 1e6)
        late.append((ended - due) * 1e6)
    print(json.dumps(percentiles(took) | {f"due_{name}": value for name, value in percentiles(late).items()}))


def percentiles(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=1000)
    return {"reads": len(values), "p50": statistics.median(values), "p99": cuts[989], "p99.9": cuts[998]}


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    read_until_stopped(int(sys.argv[1]))
