"""Outreach's queue in Redis: drain, enqueue and latency, each compared with its floor on the same server.

    taskset -c 1 python bench/outreach_queue.py [--rounds 5] [--only drains|enqueues|idle|peers]

Peers (dramatiq, huey) run when AVO_BENCH_PEERS names the python of an environment that has them:

    python -m venv /tmp/peers && /tmp/peers/bin/pip install 'dramatiq[redis]' huey

Starts a redis-server of its own on a unix socket. Floors: BLMOVE + LREM (reliable list), raw LPUSH.
"""

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import redis
from bench_project import rate, redis_socket, show
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from outreach.domain.inbox_rules import InboxRules
from outreach.domain.reservation import LeaseOwner, Settlement
from outreach.domain.reservation_plan import lanes_for, next_plan
from outreach.store.lanes import Lanes

LEASE_OWNER = LeaseOwner("bench", 60.0)
BATCH = 64
# Limits that are checked each time and never reached.
EFFECTIVE_LIMITS = InboxRules(per_minute=500_000, per_day=900_000, min_gap_seconds=None).effective_limits(time.time())


def connect(socket: Path) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(socket), protocol=2, retry=Retry(ConstantBackoff(0), 0))


def queue(client: redis.Redis) -> Lanes:
    client.flushall()
    lanes = Lanes(client)
    lanes.mark_initialised(0)
    return lanes


def fill(lanes: Lanes, touches: int, inboxes: int) -> None:
    each = touches // inboxes
    for inbox_id in range(1, inboxes + 1):
        lanes.enqueue(inbox_id, [f"0192aaaa-0000-7000-8000-{inbox_id * each + number:012d}" for number in range(each)])


def drain(lanes: Lanes, max_per_lane: int) -> int:
    """As the worker does: reserve from the lanes that the last call named, settle, again."""
    due: tuple[int, ...] = ()
    done = 0
    while True:
        plan = next_plan(due, BATCH, max_per_lane)
        effective_limits = dict.fromkeys(plan.inbox_ids, EFFECTIVE_LIMITS)
        ahead = lanes_for(BATCH, max_per_lane)
        reserved = lanes.reserve(LEASE_OWNER, BATCH, effective_limits, max_per_lane=plan.max_per_lane, ahead=ahead)
        due = reserved.due_lanes
        lanes.settle([Settlement(one, sent_ago_ms=0) for one in reserved.reservations])
        done += len(reserved.reservations)
        if not reserved.reservations and not due:
            return done


def floor_drain(client: redis.Redis, touches: int) -> float:
    client.flushall()
    for start in range(0, touches, 1000):
        client.lpush("q", *(f"0192aaaa-0000-7000-8000-{number:012d}" for number in range(start, start + 1000)))

    def work() -> int:
        for _ in range(touches):
            client.lrem("p", 1, client.blmove("q", "p", 1))
        return touches

    return rate(work)


def latencies(take: Callable[[], object], put: Callable[[], object], times: int) -> list[float]:
    """Seconds from before a put to after the take of a worker that was blocked."""
    taken, found = threading.Event(), []

    def worker() -> None:
        for _ in range(times):
            take()
            found.append(time.perf_counter())
            taken.set()

    thread = threading.Thread(target=worker)
    thread.start()
    gaps = []
    for _ in range(times):
        time.sleep(0.004)
        start = time.perf_counter()
        put()
        taken.wait()
        taken.clear()
        gaps.append(found[-1] - start)
    thread.join()
    return gaps


def floor_latency(socket: Path, times: int) -> list[float]:
    worker, caller = connect(socket), connect(socket)
    worker.flushall()
    take = lambda: worker.lrem("p", 1, worker.blmove("q", "p", 0))  # noqa: E731
    return latencies(take, lambda: caller.lpush("q", "x"), times)


def lanes_latency(socket: Path, times: int) -> list[float]:
    worker, caller = queue(connect(socket)), Lanes(connect(socket))
    numbers = iter(range(times))
    held: list[Settlement] = []

    def take() -> None:
        woken = worker.wait_for_wake(5)
        held[:] = [
            Settlement(one) for one in worker.reserve(LEASE_OWNER, 1, {woken or 7: EFFECTIVE_LIMITS}).reservations
        ]
        worker.settle(held)

    return latencies(take, lambda: caller.enqueue(7, [f"t{next(numbers)}"]), times)


def drains(client: redis.Redis, rounds: int) -> None:
    """Each touch alone from its lane, and up to 8 of one lane at a time, as a worker of 8 threads may."""
    floors: list[float] = []
    rates: dict[tuple[int, int, int], list[float]] = {}
    for _ in range(rounds):
        floors.append(floor_drain(client, 10_000))
        for touches, inboxes, share in SHAPES:
            lanes = queue(client)
            fill(lanes, touches, inboxes)
            rates.setdefault((touches, inboxes, share), []).append(
                rate(lambda lanes=lanes, share=share: drain(lanes, share))
            )
    for (touches, inboxes, share), found in rates.items():
        target = ">= 1.0" if inboxes == 1_000 else ""
        show(f"drain {touches:,} touches, {inboxes:,} lanes, {share} at a time", found, floors, "/s", target)
    costs = {shape: [1e6 / one for one in found] for shape, found in rates.items()}
    show("cost a touch, 100,000 to 1,000 queued", costs[100_000, 10, 8], costs[1_000, 10, 8], "us", "<= 1.5")
    show("cost a touch, 10,000 to 10 lanes", costs[100_000, 10_000, 8], costs[100_000, 10, 8], "us", "<= 1.5")


SHAPES = [
    (1_000, 10, 8),
    (10_000, 1, 8),
    (20_000, 1_000, 1),
    (20_000, 1_000, 8),
    (100_000, 10, 8),
    (100_000, 10_000, 8),
]


def enqueues(client: redis.Redis, rounds: int, touches: int = 50_000) -> None:
    ids = [f"0192aaaa-0000-7000-8000-{number:012d}" for number in range(1000)]
    bulk, raw = [], []
    for _ in range(rounds):
        lanes = queue(client)
        bulk.append(rate(lambda lanes=lanes: fill(lanes, touches, 100) or touches))
        client.flushall()
        raw.append(rate(lambda: [client.lpush("q", *ids) for _ in range(touches // 1000)] and touches))
    show("enqueue in bulk over 100 lanes", bulk, raw, "/s", ">= 20,000/s")


def idle(socket: Path, rounds: int, times: int = 300) -> None:
    mine = [sorted(lanes_latency(socket, times)) for _ in range(rounds)]
    floors = [sorted(floor_latency(socket, times)) for _ in range(rounds)]
    for name, place in (("p50", times // 2), ("p99", times * 99 // 100)):
        figures, its = ([one[place] * 1e6 for one in found] for found in (mine, floors))
        show(f"idle worker, put to settled, {name}", figures, its, "us", "<= 3" if name == "p99" else "")


def peers(socket: Path, rounds: int, jobs: int = 5_000) -> None:
    """No-op jobs through other queues and through ours, one round after the other on the same server."""
    python = os.environ.get("AVO_BENCH_PEERS")
    if python is None:
        print("peers: not run, AVO_BENCH_PEERS names no python")
        return
    client = connect(socket)
    floors, mine = [], []
    theirs: dict[str, list[float]] = {"dramatiq, 8 threads": [], "huey, 1 thread": []}
    for _ in range(rounds):
        floors.append(floor_drain(client, jobs))
        lanes = queue(client)
        fill(lanes, jobs, 1_000)
        mine.append(rate(lambda lanes=lanes: drain(lanes, 1)))
        for name, found in theirs.items():
            command = [python, str(Path(__file__).with_name("outreach_peers.py")), name.split(",")[0], str(socket)]
            run = subprocess.run([*command, str(jobs)], capture_output=True, text=True, check=False, timeout=120)
            found.append(float(run.stdout) if run.returncode == 0 else sys.exit(run.stderr))
    show(f"ours, {jobs:,} touches over 1,000 lanes", mine, floors, "/s", ">= 1.0")
    for name, found in theirs.items():
        show(name, found, floors, "/s")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("drains", "enqueues", "idle", "peers"))
    options = parser.parse_args()
    with redis_socket() as socket:
        parts = {
            "drains": lambda: drains(connect(socket), options.rounds),
            "enqueues": lambda: enqueues(connect(socket), options.rounds),
            "idle": lambda: idle(socket, options.rounds),
            "peers": lambda: peers(socket, options.rounds),
        }
        for name, part in parts.items():
            if options.only in {None, name}:
                part()


if __name__ == "__main__":
    main()
