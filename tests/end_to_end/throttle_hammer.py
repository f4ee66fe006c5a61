"""One of many processes that take all they can of one subject's limit, and write down when.

``throttle_hammer.py SOCKET SECONDS RATES`` prints ``ready``, reads when to start, then prints, for each allowed hit,
when it was sent and when it was answered, by the clock that all processes share (CLOCK_MONOTONIC), and last how many
hits there were.
"""

import sys
import time

from redis import Redis

from throttling.domain.policies import Hit, parse_policies
from throttling.store.window_limiter import WindowLimiter


def main(socket: str, seconds: float, rates: str) -> None:
    limiter = WindowLimiter(Redis(unix_socket_path=socket, protocol=2))
    hit, allowed, hits = Hit("user:hammered", parse_policies(rates)), [], 0
    limiter.test(hit.subject, hit.policies)
    print("ready", flush=True)
    start_at = float(sys.stdin.readline())
    time.sleep(max(0.0, start_at - time.monotonic()))
    while (sent := time.monotonic()) < start_at + seconds:
        outcome, hits = limiter.hit(hit), hits + 1
        if outcome.allowed:
            allowed.append((sent, time.monotonic()))
    for one in allowed:
        print(*one)
    print("hits", hits)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), sys.argv[3])
