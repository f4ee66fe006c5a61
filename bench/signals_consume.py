"""Reading and acknowledging with a no-op handler, and with the paper executor on SQLite, beside raw XREADGROUP + XACK."""

from functools import partial
from typing import Any

from signals_setup import compare, events, per_second, prepared

EVENTS = 100_000


def main() -> None:
    with prepared() as client:
        floor = partial(run_raw, client)
        compare(
            "read + ack, count 100, no-op",
            "/s",
            partial(floor, 100),
            partial(run_ours, client, 100, "ignore"),
            ">= 0.5",
        )
        compare(
            "read + ack, count 10, no-op", "/s", partial(floor, 10), partial(run_ours, client, 10, "ignore"), "none"
        )
        compare(
            "read + execution row, count 500", "/s", partial(floor, 500), partial(run_ours, client, 500, "book_executions"),
            ">= 10,000/s",
        )  # fmt: skip


def fill(client: Any) -> None:
    from signals_app.publisher import Publisher
    from signals_app.stream import SignalStream

    client.flushall()
    publisher = Publisher(SignalStream(client, soft_cap=50_000, hard_cap=1_000_000), soft_cap=50_000)
    for _ in publisher.publish(events(EVENTS)):
        pass


def run_raw(client: Any, count: int) -> float:
    fill(client)

    def run() -> None:
        while reply := client.xreadgroup("apex-group", "raw", {"signals:live": ">"}, count=count):
            client.xack("signals:live", "apex-group", *[entry_id for entry_id, _ in reply[0][1]])

    return per_second(EVENTS, run)


def run_ours(client: Any, count: int, handler: str) -> float:
    from avo_project.stop_flag import StopFlag
    from signals_app.assembly import ConsumerOptions, assemble_consumer
    from signals_app.stop_deadline import StopDeadline

    fill(client)
    stop = StopFlag()
    deadline = StopDeadline(stop)
    options = ConsumerOptions("apex-group", count=count, block_ms=0, handler=f"signals_app.handlers.{handler}")
    consumer = assemble_consumer(options, deadline)

    def run() -> None:
        tally = consumer.run(stop, deadline, stop_when_idle=True)
        assert tally.executed == EVENTS, tally

    return per_second(EVENTS, run)


if __name__ == "__main__":
    main()
