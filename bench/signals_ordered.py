"""What ``consume_signals --ordered`` costs beside the same consumer without it, by the number of symbols."""

import time
from functools import partial
from typing import Any

from bench_project import loaded_project
from signals_consume import run_ours
from signals_setup import compare

EVENTS = 5_000


def main() -> None:
    with loaded_project():
        from django_redis import get_redis_connection

        client = get_redis_connection("signals")
        for count in (10, 100):
            for symbols in (1, 30, 3_000):
                plain = partial(run_ours, client, EVENTS, count, "ignore", symbols=symbols)
                compare(f"count {count}, {symbols} symbols", "/s", plain, partial(plain, ordered=True), "none")
        for pending in (20, 1_000):
            print(f"one look at {pending:5} pending entries {look_seconds(client, pending) * 1e6:10,.0f} us")


def look_seconds(client: Any, pending: int) -> float:
    """All of one symbol and in hand elsewhere, so that the look goes through to the last one."""
    from signals_consume import fill

    from signals_app.store.group import ConsumerGroup

    fill(client, pending, symbols=1)
    group = ConsumerGroup.connect("apex-group")
    group.read("busy", count=pending - 1, block_ms=0)
    [mine] = group.read("one", count=1, block_ms=0)
    rounds = 200
    started_at = time.perf_counter()
    for _ in range(rounds):
        group.first_of_symbols("one", [mine.entry_id], count=10)
    return (time.perf_counter() - started_at) / rounds


if __name__ == "__main__":
    main()
