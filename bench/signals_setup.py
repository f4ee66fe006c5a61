"""What the benches of the signals role share: events, and medians beside floors."""

import itertools
import time
import uuid
from collections.abc import Callable
from typing import Any

from bench_project import RUNS, show


def events(number: int, symbols: int = 0) -> list[Any]:
    """Events of the five fields of the contract, of so many symbols by turns; each of its own when that is 0."""
    from signals_app.domain.event import Event

    names = [f"S{one}" for one in range(symbols or number)]
    made = zip(range(number), itertools.cycle(names), strict=False)
    return [Event(str(uuid.uuid4()), name, "long", 0.5, 1_790_000_000_000 + one) for one, name in made]


def fields(number: int) -> list[dict[str, str]]:
    """The same events as ready-made dictionaries, for the floor."""
    made = [one.as_fields() for one in events(number)]
    return [dict(zip(flat[::2], flat[1::2], strict=True)) for flat in made]


def per_second(number: int, run: Callable[[], object]) -> float:
    started_at = time.perf_counter()
    run()
    return number / (time.perf_counter() - started_at)


def compare(what: str, unit: str, floor: Callable[[], float], ours: Callable[[], float], target: str) -> None:
    """Runs both in turn, RUNS times."""
    pairs = [(floor(), ours()) for _ in range(RUNS)]
    show(what, [ours for _, ours in pairs], [floor for floor, _ in pairs], unit, target)
