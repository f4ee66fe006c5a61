"""Publishing one by one and 100 at a time, validated and with the safe trim, beside raw XADD."""

import time
from functools import partial
from typing import Any

from bench_project import loaded_project
from signals_setup import compare, fields, per_second

SINGLE = 5_000
MANY = 30_000


def main() -> None:
    with loaded_project():
        from django_redis import get_redis_connection

        from signals_app.domain.event import parse_fields
        from signals_app.services.publisher import Publisher
        from signals_app.store.stream import SignalStream

        client = get_redis_connection("signals")
        raw = fields(MANY)

        def floor(number: int, size: int) -> float:
            client.flushall()
            return per_second(number, partial(add_raw, client, raw[:number], size))

        def ours(number: int, size: int) -> float:
            client.flushall()
            stream = SignalStream(client, soft_cap=50_000, hard_cap=1_000_000)
            publisher = Publisher(stream, soft_cap=50_000, batch_size=size, pause=time.sleep)

            def run() -> None:
                for _ in publisher.publish(parse_fields(one) for one in raw[:number]):
                    pass

            return per_second(number, run)

        compare("publish one by one", "/s", partial(floor, SINGLE, 1), partial(ours, SINGLE, 1), ">= 0.85")
        compare("publish 100 a batch", "/s", partial(floor, MANY, 100), partial(ours, MANY, 100), ">= 0.8")
        compare("publish 500 a batch", "/s", partial(floor, MANY, 500), partial(ours, MANY, 500), "none")


def add_raw(client: Any, raw: list[dict[str, str]], size: int) -> None:
    if size == 1:
        for one in raw:
            client.xadd("signals:live", one)
        return
    for start in range(0, len(raw), size):
        with client.pipeline(transaction=False) as pipeline:
            for one in raw[start : start + size]:
                pipeline.xadd("signals:live", one)
            pipeline.execute()


if __name__ == "__main__":
    main()
