"""One of many processes that take all they can of one subject's limit, and write down when.

``throttle_hammer.py SOCKET START_AT STOP_AT RATES`` prints, for each allowed hit, when it was sent and when it was
answered, by the clock that all processes share (CLOCK_MONOTONIC), and last how many hits there were.
"""

import sys
import time

from redis import Redis

from throttling.rules.rates import parse_policies
from throttling.rules.records import Hit
from throttling.store.window_limiter import WindowLimiter


def main(socket: str, start_at: float, stop_at: float, rates: str) -> None:
    limiter = WindowLimiter(Redis(unix_socket_path=socket, protocol=2))
    hit, allowed, hits = Hit("user:hammered", parse_policies(rates)), [], 0
    time.sleep(max(0.0, start_at - time.monotonic()))
    while (sent := time.monotonic()) < stop_at:
        outcome, hits = limiter.hit(hit), hits + 1
        if outcome.allowed:
            allowed.append((sent, time.monotonic()))
    for one in allowed:
        print(*one)
    print("hits", hits)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), sys.argv[4])
