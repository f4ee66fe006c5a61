"""`limits` beside PING; throttling_decisions.py runs this in an environment that has it.

Each caller uses its limit up, and the next one comes: no call is a rejection.
"""

import sys
from collections.abc import Callable
from itertools import count

import redis
from bench_project import timed_by_turns
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
    took = timed_by_turns(calls, rounds)
    floor, _, _ = took["PING"]
    for name, (p50, p99, used) in took.items():
        print(
            f"limits: {name:<40} p50 {p50:6.0f} µs  p99 {p99:6.0f} µs  processor {used:6.0f} µs"
            f"  {1e6 / p50:7,.0f}/s  {p50 / floor:5.2f} x PING"
        )


def by_turns(limiter: RateLimiter, item: RateLimitItem) -> Callable[[], None]:
    number = count()

    def hit() -> None:
        assert limiter.hit(item, f"{type(limiter).__name__} {next(number) // item.amount}")

    return hit


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
