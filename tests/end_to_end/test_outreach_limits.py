"""Three workers share the limits of many inboxes; the mail server's clock is the judge.

The short form asserts what may never happen, whatever the speed. The long form also asserts that a busy inbox uses what
it may; what an inbox at its limit costs the others is measured by bench/outreach_limits.py.
"""

import itertools
import os
import time

from tests.end_to_end.system import eventually
from tests.outreach.fleet import Fleet, fleet
from tests.outreach.rolling import most_in_a_window, possible_sends

LONG = os.environ.get("AVO_CHAOS") == "long"
LONG_SECONDS = 200
GAPS = (1.0, 2.0, 5.0) * (8 if LONG else 3)
PER_MINUTE = (6, 20, 60, 120) * (6 if LONG else 2)
FREE, BACKLOG = 200 * (5 if LONG else 1), 10_000 if LONG else 1_000
ON_THE_WAY_SECONDS = 1.0
SLOW, FREE_INBOX = "slow@example.com", "free@example.com"


def watched(workers: Fleet, least: dict[str, int]) -> tuple[dict[str, list[float]], float]:
    """Arrivals by inbox up to a moment at which each had ``least``; the long form watches for minutes."""

    def all_did() -> bool:
        arrivals = workers.sink.times_by_sender()
        return all(len(arrivals.get(address, ())) >= count for address, count in least.items())

    eventually(all_did, 120)
    if LONG:
        time.sleep(LONG_SECONDS)
    until = time.monotonic()
    return {
        who: sorted(at for at in times if at <= until) for who, times in workers.sink.times_by_sender().items()
    }, until


def test_chaos_of_limits_holds_in_every_rolling_window() -> None:
    gaps = {f"gap{number}@example.com": seconds for number, seconds in enumerate(GAPS)}
    minutes = {f"minute{number}@example.com": count for number, count in enumerate(PER_MINUTE)}
    with fleet("--concurrency", "4") as workers:
        workers.set_inboxes({address: {"min_gap_seconds": seconds} for address, seconds in gaps.items()})
        workers.set_inboxes({address: {"per_minute": count} for address, count in minutes.items()})
        workers.set_inboxes({SLOW: {"per_minute": 1}, FREE_INBOX: {}})
        seconds_enough = LONG_SECONDS + 60 if LONG else 15
        busy = [address for address, seconds in gaps.items() for _ in range(int(seconds_enough / seconds) + 20)]
        busy += [address for address, count in minutes.items() for _ in range(count * (seconds_enough // 60 + 2))]
        workers.enqueue([SLOW] * BACKLOG + [FREE_INBOX] * FREE + busy)
        workers.start()
        arrivals, until = watched(workers, dict.fromkeys(gaps, 3) | minutes | {FREE_INBOX: FREE, SLOW: 1})
        assert [status for status, _ in workers.stop()] == [0, 0, 0]

    for address, seconds in gaps.items():
        assert min(later - at for at, later in itertools.pairwise(arrivals[address])) > seconds - 0.1, address
    for address, count in minutes.items():
        assert most_in_a_window(arrivals[address], 60 - ON_THE_WAY_SECONDS) <= count, address
    assert most_in_a_window(arrivals[SLOW], 60 - ON_THE_WAY_SECONDS) == 1
    if LONG:
        allowed = {address: (1, seconds) for address, seconds in gaps.items()}
        allowed |= {address: (count, 60.0) for address, count in minutes.items()}
        for address, (count, window_seconds) in allowed.items():
            possible = possible_sends(count, window_seconds, until - arrivals[address][0] - ON_THE_WAY_SECONDS)
            assert len(arrivals[address]) >= 0.95 * possible, (address, len(arrivals[address]), possible)
