"""Decisions of the limiter beside PING, beside DRF's UserRateThrottle and beside `limits`; round trips and bytes.

SERVER (redis) may be valkey, RUNS is 5.
"""

import subprocess
import sys
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any

from bench_project import loaded_project, print_beside

ROUNDS = 2_000
TWO = "1000000/min,50000000/day"
PEERS_LIMIT = 60  # a minute


def main() -> None:
    with loaded_project() as socket:
        from django_redis import get_redis_connection

        from throttling import keys
        from throttling.domain.policies import Hit, parse_policies
        from throttling.services import process
        from throttling.store.window_limiter import WindowLimiter

        client = get_redis_connection(keys.REDIS_ALIAS)
        limiter = WindowLimiter(client)
        one, two = parse_policies("1000000/min"), parse_policies(TWO)
        for subject in ("one", "two"):
            fill(limiter, Hit(subject, two))
        rate_limiter, rejected = process.rate_limiter(), Hit("user:rejected", parse_policies("1/min"))
        rate_limiter.hit(rejected)
        new = count()
        server = client.info("server")
        print(f"server: {server.get('server_name', 'redis')} {server.get('valkey_version', server['redis_version'])}")
        calls = {
            "PING": client.ping,
            "one policy, all buckets in use": lambda: limiter.hit(Hit("one", one)),
            "two policies, all buckets in use": lambda: limiter.hit(Hit("two", two)),
            "two policies, a subject's first hit": lambda: limiter.hit(Hit(f"new{next(new)}", two)),
            "a repeated rejection, from memory": lambda: rate_limiter.hit(rejected),
            f"DRF's UserRateThrottle, {PEERS_LIMIT} a minute": drf_throttle(),
        }
        print_beside("PING", calls, ROUNDS, {"two policies, all buckets in use": "<= 1.4"})
        print_round_trips(client, limiter, Hit("two", two))
        print_bytes(client, limiter)
        print_limits(socket)


def fill(limiter: Any, hit: Any) -> None:
    """Charges every bucket of every window, ending now."""
    now_ms = int(time.time() * 1000)
    for policy in hit.policies:
        for back in range(25, -1, -1):
            limiter.hit(type(hit)(hit.subject, (policy,), 3), now_ms - back * policy.bucket_ms)


def drf_throttle() -> Any:
    """A call of DRF's own throttle over the cache alias, which is Redis too. Each caller uses its limit up, and the
    next one comes: no call is a rejection."""
    from rest_framework.test import APIRequestFactory
    from rest_framework.throttling import UserRateThrottle

    class Throttle(UserRateThrottle):
        rate = f"{PEERS_LIMIT}/min"

    request, number = APIRequestFactory().get("/"), count()
    request.user = None

    def hit() -> None:
        request.META["REMOTE_ADDR"] = f"caller {next(number) // PEERS_LIMIT}"
        assert Throttle().allow_request(request, None)

    return hit


def print_round_trips(client: Any, limiter: Any, hit: Any) -> None:
    limiter.hit(hit)
    before = client.info("stats")["total_net_input_bytes"], calls(client)
    for _ in range(100):
        limiter.hit(hit)
    print(f"round trips a decision: {(calls(client) - before[1]) / 100:.2f}")


def calls(client: Any) -> int:
    return sum(
        entry["calls"] for name, entry in client.info("commandstats").items() if name.startswith("cmdstat_evalsha")
    )


def print_bytes(client: Any, limiter: Any) -> None:
    """MEMORY USAGE of one window with every bucket in use, and of a quiet one."""
    from throttling import keys
    from throttling.domain.policies import Hit, parse_policies

    subject = "user:user_2NNEqL2nrIRdJ194ndJqAHwEfxC"
    for rate in ("6000000/min", "50000000/day"):
        [policy] = parse_policies(rate)
        key = keys.window(subject, policy.window_seconds)
        limiter.hit(Hit(subject, (policy,)))
        quiet = client.memory_usage(key)
        client.delete(key)
        for bucket in range(26):
            limiter.hit(Hit(subject, (policy,), 200), 1_790_000_000_000 + bucket * policy.bucket_ms)
        full = client.memory_usage(key)
        print(f"bytes of one window of a {policy.name}: {full} with all 26 buckets, {quiet} quiet (target <= 450)")


def print_limits(socket: Path) -> None:
    """`limits` in an environment of its own, beside PING of its own run."""
    with tempfile.TemporaryDirectory() as folder:
        install = (
            [sys.executable, "-m", "venv", folder],
            [f"{folder}/bin/pip", "install", "-q", "limits[redis]", "hiredis"],
        )
        for command in install:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"`limits` is left out, its environment cannot be made: {done.stderr.strip().splitlines()[-1:]}")
                return
        program = Path(__file__).with_name("throttling_limits_peer.py")
        subprocess.run([f"{folder}/bin/python", str(program), str(socket), str(ROUNDS), str(PEERS_LIMIT)], check=False)


if __name__ == "__main__":
    main()
