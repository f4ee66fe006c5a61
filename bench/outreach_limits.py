"""Real workers and a real mail server: how much of its limits a busy inbox uses, and what one at its limit costs.

    python bench/outreach_limits.py use [--seconds 65]       50 inboxes with limits of their own, 3 workers
    python bench/outreach_limits.py neighbours [--rounds 3]  49 inboxes, with and without one of 1/min, 10,000 waiting

Both judge by the mail server's timestamps alone. Leave both CPUs to it: workers, mail server and Redis all take part.
"""

import argparse
import statistics
import time

from bench_project import show

from tests.end_to_end.system import eventually
from tests.outreach.fleet import Fleet, fleet
from tests.outreach.rolling import most_in_a_window, possible_sends

ON_THE_WAY = 1.0  # seconds from a worker to the mail server, at the most
SLOW = "slow@example.com"
MINUTES = {f"minute{count}@example.com": (count, 60.0) for count in range(5, 130, 5)}
GAPS = {f"gap{number}@example.com": (1, 1.0 + number / 2) for number in range(25)}
NEIGHBOURS = [f"i{number}@example.com" for number in range(49)]


def use(seconds: float) -> None:
    """The share of what was possible, inbox by inbox, and the fullest rolling window beside its limit."""
    limits = {**MINUTES, **GAPS}
    with fleet("--concurrency", "4") as workers:
        workers.set_inboxes({address: {"per_minute": count} for address, (count, _) in MINUTES.items()})
        workers.set_inboxes({address: {"min_gap_seconds": gap} for address, (_, gap) in GAPS.items()})
        wanted = {address: count * (int(seconds / window) + 3) for address, (count, window) in limits.items()}
        workers.enqueue([address for address, count in wanted.items() for _ in range(count)])
        workers.start()
        eventually(lambda: len(workers.sink.times_by_sender()) == len(limits), 30, 0.05)
        time.sleep(seconds)
        until = time.monotonic()
        arrivals = {who: [at for at in times if at <= until] for who, times in workers.sink.times_by_sender().items()}
    for name, its in (("per minute", MINUTES), ("minimum gap", GAPS)):
        used = [len(arrivals[who]) / possible_sends(*its[who], until - min(arrivals[who]) - ON_THE_WAY) for who in its]
        print(
            f"{name}: {len(its)} inboxes use at least {min(used):.1%}, median {statistics.median(used):.1%}"
            "  target >= 95 %"
        )
    over = [who for who, (count, window) in limits.items() if most_in_a_window(arrivals[who], _less(window)) > count]
    print(f"inboxes over their limit in any rolling window: {len(over)} {over}  target 0")


def _less(window_seconds: float) -> float:
    """A minute less the way there; of a gap as short as that way a tenth less."""
    return window_seconds - min(ON_THE_WAY, window_seconds / 10)


def neighbours(rounds: int, touches: int) -> None:
    """Mails a second of inboxes without limits, one after the other with and without the slow one."""
    alone, beside = [], []
    for _ in range(rounds):
        alone.append(_rate(touches, backlog=0))
        beside.append(_rate(touches, backlog=10_000))
    show("49 inboxes beside one of 1/min, 10,000 waiting", beside, alone, "/s", ">= 0.95")


def _rate(touches: int, backlog: int) -> float:
    """From the first fifth on, when all workers are there, up to the last tenth."""
    with fleet("--concurrency", "8") as workers:
        workers.set_inboxes({SLOW: {"per_minute": 1}, **{address: {} for address in NEIGHBOURS}})
        free = [NEIGHBOURS[number % len(NEIGHBOURS)] for number in range(touches)]
        workers.enqueue([SLOW] * backlog + free)
        workers.start()
        eventually(lambda: len(_of_neighbours(workers)) >= touches, 120, 0.1)
        times = _of_neighbours(workers)
        slow = workers.sink.times_by_sender().get(SLOW, [])
        assert most_in_a_window(slow, 59.0) == min(1, backlog), slow
    first, last = touches // 5, touches * 9 // 10
    return (last - first) / (times[last] - times[first])


def _of_neighbours(workers: Fleet) -> list[float]:
    return sorted(arrival.at for arrival in list(workers.sink.arrivals) if arrival.sender != SLOW)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("use", "neighbours"))
    parser.add_argument("--seconds", type=float, default=65.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--touches", type=int, default=3000)
    options = parser.parse_args()
    use(options.seconds) if options.what == "use" else neighbours(options.rounds, options.touches)


if __name__ == "__main__":
    main()
