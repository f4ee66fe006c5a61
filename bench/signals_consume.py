"""Reading and acknowledging, with a no-op handler and with the paper executor, compared with XREADGROUP and XACK."""

import time
from functools import partial
from typing import Any

from bench_project import loaded_project
from signals_setup import compare, events, per_second

EVENTS = 100_000


def main() -> None:
    with loaded_project():
        from django_redis import get_redis_connection

        client = get_redis_connection("signals")
        for what, count, handler, target in (
            ("read + ack, count 100, no-op", 100, "ignore", ">= 0.5"),
            ("read + ack, count 10, no-op", 10, "ignore", "none"),
            ("read + ack, count 1, no-op", 1, "ignore", ">= 0.5"),
            ("read + execution row on SQLite, count 500", 500, "book_executions", ">= 10,000/s"),
        ):
            number = EVENTS // 10 if count == 1 else EVENTS
            raw = partial(run_raw, client, number, count)
            compare(what, "/s", raw, partial(run_ours, client, number, count, handler), target)


def fill(client: Any, number: int, symbols: int = 0) -> None:
    from signals_app.services.publisher import Publisher
    from signals_app.store.stream import SignalStream

    client.flushall()
    stream = SignalStream(client, soft_cap=50_000, hard_cap=1_000_000)
    publisher = Publisher(stream, soft_cap=50_000, pause=time.sleep)
    for _ in publisher.publish(events(number, symbols)):
        pass


def run_raw(client: Any, number: int, count: int) -> float:
    fill(client, number)

    def run() -> None:
        while reply := client.xreadgroup("apex-group", "raw", {"signals:live": ">"}, count=count):
            client.xack("signals:live", "apex-group", *[entry_id for entry_id, _ in reply[0][1]])

    return per_second(number, run)


def run_ours(client: Any, number: int, count: int, handler: str, *, symbols: int = 0, ordered: bool = False) -> float:
    from avo_project.runtime.stop_flag import StopFlag
    from signals_app.services.consumer import ConsumerOptions, assemble_consumer
    from signals_app.services.stop_deadline import StopDeadline

    fill(client, number, symbols)
    stop = StopFlag()
    deadline = StopDeadline(stop)
    path = f"signals_app.services.handling.{handler}"
    options = ConsumerOptions("apex-group", count=count, block_ms=0, handler=path, ordered=ordered)
    consumer = assemble_consumer(options, deadline)

    def run() -> None:
        counters = consumer.run(stop, deadline, stop_when_idle=True)
        assert counters.executed == number, counters

    return per_second(number, run)


if __name__ == "__main__":
    main()
