"""From XADD to the handler at 1,000 events a second, beside a raw XREADGROUP loop; median and 99th percentile."""

import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

from bench_project import RUNS, loaded_project
from signals_setup import events

RATE = 1_000
EVENTS = 3_000


def main() -> None:
    with loaded_project():
        from django_redis import get_redis_connection

        client = get_redis_connection("signals")
        pairs = [(measure(client, raw_consumer), measure(client, our_consumer)) for _ in range(RUNS)]
        for name, place in (("p50", 0), ("p99", 1)):
            floor = statistics.median(raw[place] for raw, _ in pairs)
            ours = statistics.median(our[place] for _, our in pairs)
            ratio = statistics.median(our[place] / raw[place] for raw, our in pairs)
            print(
                f"latency {name} at {RATE}/s: floor {floor:.2f} ms, ours {ours:.2f} ms; ours/floor {ratio:.2f}", end=" "
            )
            print("(target of p99 <= 3)")


def measure(client: Any, consume: Callable[[Any, list[float]], None]) -> tuple[float, float]:
    client.flushall()
    client.xgroup_create("signals:live", "apex-group", id="0", mkstream=True)
    latencies: list[float] = []
    consumer = threading.Thread(target=consume, args=(client, latencies))
    consumer.start()
    time.sleep(0.5)
    ready, started_at = events(EVENTS), time.perf_counter()
    for number, one in enumerate(ready):
        time.sleep(max(0.0, started_at + number / RATE - time.perf_counter()))
        flat = one._replace(extra={"sent": repr(time.perf_counter())}).as_fields()
        client.xadd("signals:live", dict(zip(flat[::2], flat[1::2], strict=True)))
    consumer.join()
    cuts = statistics.quantiles(latencies, n=100)
    return cuts[49] * 1_000, cuts[98] * 1_000


def raw_consumer(client: Any, latencies: list[float]) -> None:
    while len(latencies) < EVENTS:
        for _, rows in client.xreadgroup("apex-group", "raw", {"signals:live": ">"}, count=10, block=1_000):
            latencies += [time.perf_counter() - float(fields[b"sent"]) for _, fields in rows]
            client.xack("signals:live", "apex-group", *[entry_id for entry_id, _ in rows])


def our_consumer(client: Any, latencies: list[float]) -> None:
    from avo_project.runtime.stop_flag import StopFlag
    from signals_app.handlers import batch_handler
    from signals_app.services import handling
    from signals_app.services.consumer import ConsumerOptions, assemble_consumer
    from signals_app.services.stop_deadline import StopDeadline

    stop = StopFlag()

    @batch_handler
    def note(given: Any) -> None:
        now = time.perf_counter()
        latencies.extend(now - float(one.extra["sent"]) for one in given)
        if len(latencies) >= EVENTS:
            stop.set()

    handling.note = note  # type: ignore[attr-defined]
    deadline = StopDeadline(stop)
    assemble_consumer(ConsumerOptions("apex-group", handler="signals_app.services.handling.note"), deadline).run(
        stop, deadline
    )


if __name__ == "__main__":
    main()
