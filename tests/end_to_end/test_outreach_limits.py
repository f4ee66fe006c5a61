"""Three workers share the limits of many inboxes; the mail server's clock is the judge."""

import itertools
import os
import time

from tests.end_to_end.system import eventually
from tests.outreach.fleet import fleet

LONG = os.environ.get("AVO_CHAOS") == "long"
SECONDS = 200 if LONG else 12
GAPS = (1.0, 2.0, 5.0) * (8 if LONG else 3)
PER_MINUTE = (6, 20, 60, 120) * (6 if LONG else 2)
FREE, BACKLOG = 200 * (5 if LONG else 1), 10_000 if LONG else 1_000
ON_THE_WAY_SECONDS = 1.0


def most_in_a_window(times: list[float], window_seconds: float) -> int:
    """The largest number of arrivals in any half-open window of that length."""
    ordered, most, first = sorted(times), 0, 0
    for last, at in enumerate(ordered):
        while ordered[first] <= at - window_seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def test_chaos_of_limits_holds_in_every_rolling_window_and_wastes_none() -> None:
    gaps = {f"gap{number}@example.com": seconds for number, seconds in enumerate(GAPS)}
    minutes = {f"minute{number}@example.com": count for number, count in enumerate(PER_MINUTE)}
    with fleet("--concurrency", "4") as workers:
        workers.set_inboxes({address: {"min_gap_seconds": seconds} for address, seconds in gaps.items()})
        workers.set_inboxes({address: {"per_minute": count} for address, count in minutes.items()})
        workers.set_inboxes({"slow@example.com": {"per_minute": 1}, "free@example.com": {}})
        busy = [address for address, seconds in gaps.items() for _ in range(int(SECONDS / seconds) + 20)]
        busy += [address for address, count in minutes.items() for _ in range(count * (SECONDS // 60 + 2))]
        workers.enqueue(["slow@example.com"] * BACKLOG + ["free@example.com"] * FREE + busy)
        workers.start()
        eventually(lambda: workers.sink.times_by_sender().get("free@example.com"), 30, 0.05)
        time.sleep(SECONDS)
        until = time.monotonic()
        arrivals = {who: [at for at in times if at <= until] for who, times in workers.sink.times_by_sender().items()}
        assert [status for status, _ in workers.stop()] == [0, 0, 0]

    for address, seconds in gaps.items():
        times = sorted(arrivals[address])
        used = len(times) / ((until - times[0]) / seconds)
        assert min(later - at for at, later in itertools.pairwise(times)) > seconds - 0.1, address
        assert used >= 0.95 or not LONG, (address, used)
    for address, count in minutes.items():
        assert most_in_a_window(arrivals[address], 60 - ON_THE_WAY_SECONDS) <= count, address
        windows = 1 + (until - min(arrivals[address])) // 60.5
        assert len(arrivals[address]) >= 0.95 * count * windows, (address, len(arrivals[address]))
    assert most_in_a_window(arrivals["slow@example.com"], 60 - ON_THE_WAY_SECONDS) == 1
    assert len(arrivals["free@example.com"]) == FREE
