"""What a safe trim of 10,000 entries costs with three groups, beside a plain XTRIM MAXLEN ~ of as many."""

import time
from typing import Any

from bench_project import loaded_project
from signals_setup import compare, fields

ENTRIES = 60_000


def main() -> None:
    with loaded_project():
        from django_redis import get_redis_connection

        from signals_app.store.stream import SignalStream

        client = get_redis_connection("signals")
        raw = fields(ENTRIES)
        stream = SignalStream(client, soft_cap=50_000, hard_cap=1_000_000)

        def timed(trim: Any) -> float:
            fill(client, raw)
            started_at = time.perf_counter()
            trimmed = trim()
            assert trimmed > 9_000, trimmed
            return (time.perf_counter() - started_at) * 1_000

        compare(
            "trim 10,000 entries", "ms",
            lambda: timed(lambda: client.xtrim("signals:live", maxlen=50_000, approximate=True)),
            lambda: timed(stream.trim), "none",
        )  # fmt: skip


def fill(client: Any, raw: list[dict[str, str]]) -> None:
    client.flushall()
    with client.pipeline(transaction=False) as pipeline:
        for one in raw:
            pipeline.xadd("signals:live", one)
        pipeline.execute()
    for group in ("apex-group", "audit", "node"):
        client.xgroup_create("signals:live", group, id="$")


if __name__ == "__main__":
    main()
