"""`limits` beside PING; throttling_decisions.py runs this in an environment that has it.

Each caller uses its limit up, and the next one comes: no call is a refusal.
"""

import statistics
import sys
import time
from collections.abc import Callable
from itertools import count

import redis
from limits import RateLimitItem, parse
from limits.storage import RedisStorage
from limits.strategies import (
    FixedWindowRateLimiter,
    MovingWindowRateLimiter,
    RateLimiter,
    SlidingWindowCounterRateLimiter,
)


def main(socket: str, rounds: int, limit: int) -> None:
    client = redis.Redis(unix_socket_path=socket)
    storage, item = RedisStorage(f"redis+unix://{socket}"), parse(f"{limit}/minute")
    strategies = (FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter)
    calls = {"PING": client.ping}
    for strategy in strategies:
        calls[strategy.__name__] = by_turns(strategy(storage), item)
    took: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            took[name].append((time.perf_counter() - began) * 1e6)
    floor = statistics.median(took["PING"])
    for name, times in took.items():
        p50, p99 = statistics.median(times), statistics.quantiles(times, n=100)[98]
        print(
            f"limits: {name:<40} p50 {p50:6.0f} µs  p99 {p99:6.0f} µs  {1e6 / p50:7,.0f}/s  {p50 / floor:5.2f} x PING"
        )


def by_turns(limiter: RateLimiter, item: RateLimitItem) -> Callable[[], None]:
    number = count()

    def hit() -> None:
        assert limiter.hit(item, f"{type(limiter).__name__} {next(number) // item.amount}")

    return hit


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
