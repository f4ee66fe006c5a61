"""The backfill of 209,033 states without expiry: fast beside SCAN + EXPIRE NX, throttled beside a reader at rest."""

import statistics
import time
from typing import Any

from bench_project import loaded_project
from regime_setup import RUNS, STATES, fill, reading, seconds_of


def main() -> None:
    with loaded_project():
        from django_redis import get_redis_connection

        client = get_redis_connection("regime")
        floors, fasts, throttled, ratios, fast_ratios = [], [], [], [], []
        for _ in range(RUNS):
            fill(client, with_ttl=False)
            floors.append(seconds_of(lambda: scan_and_expire(client)))
            fill(client, with_ttl=False)
            fasts.append(seconds_of(lambda: backfill(1_000)))
            fill(client, with_ttl=False)
            with reading() as rest:
                time.sleep(5)
            with reading() as beside:
                throttled.append(seconds_of(lambda: backfill(None)))
            ratios.append(beside["p99"] / rest["p99"])
            fill(client, with_ttl=False)
            with reading() as hurried:
                backfill(1_000)
            fast_ratios.append(hurried["p99"] / rest["p99"])
            print(f"  rest {rest}\n  throttled {beside}\n  fast {hurried}", flush=True)
        ratio = statistics.median(fast / floor for fast, floor in zip(fasts, floors, strict=True))
        print(
            f"fast, {STATES:,} states: floor {statistics.median(floors):.2f} s, ours {statistics.median(fasts):.2f} s, "
            f"ours/floor {ratio:.2f} (target <= 1.6); reader p99 {statistics.median(fast_ratios):.1f} x rest"
        )
        print(
            f"throttled: {statistics.median(throttled):.1f} s (target <= 30), "
            f"reader p99 {statistics.median(ratios):.2f} x rest (target <= 2)"
        )


def scan_and_expire(client: Any) -> None:
    cursor = None
    while cursor != 0:
        cursor, names = client.scan(cursor or 0, match="argus:regime:*", count=1_000)
        pipeline = client.pipeline(transaction=False)
        for name in names:
            pipeline.expire(name, 86_400, nx=True)
        pipeline.execute()


def backfill(batch: int | None) -> None:
    from avo_project.runtime.stop_flag import StopFlag
    from regime.conf import RegimeConf
    from regime.services.ttl_backfill import Pace, TtlBackfill

    report = TtlBackfill.connect(Pace.of(batch, None, RegimeConf.load()), False, None).run(StopFlag())
    assert report.counts.fixed >= STATES, report


if __name__ == "__main__":
    main()
