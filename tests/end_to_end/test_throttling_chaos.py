"""Limits under processes that hammer, and under a Redis that is killed while they are served."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.end_to_end.system import ROOT, data_folder, eventually
from tests.end_to_end.throttled_web import OwnRedis, Web, web

LONG = os.environ.get("AVO_CHAOS") == "long"
PROCESSES, LIMIT, WINDOW_SECONDS = 16, 100, 2
HAMMER_SECONDS = 60.0 if LONG else 8.4
OUTAGES = 5 if LONG else 1


def hammer(socket: Path) -> tuple[list[tuple[float, float]], int]:
    """(sent, answered) of every allowed hit of all processes, in order, and how many hits there were."""
    start_at = time.monotonic() + 6.0
    command = [
        sys.executable,
        "-m",
        "tests.end_to_end.throttle_hammer",
        str(socket),
        str(start_at),
        str(start_at + HAMMER_SECONDS),
    ]
    command.append(f"{LIMIT}/{WINDOW_SECONDS}s")
    running = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)]
    lines = [line.split() for process in running for line in process.communicate(timeout=120)[0].splitlines()]
    assert all(process.returncode == 0 for process in running)
    hits = sum(int(line[1]) for line in lines if line[0] == "hits")
    return sorted(
        (float(sent), float(answered)) for sent, answered in (line for line in lines if line[0] != "hits")
    ), hits


def largest_count(log: list[tuple[float, float]]) -> int:
    """The most hits that surely fell into one window: sent after it began and answered before it ended."""
    return max(
        sum(1 for sent, answered in log if start <= sent and answered < start + WINDOW_SECONDS) for start, _ in log
    )


def test_sixteen_processes_never_get_more_than_the_limit() -> None:
    with data_folder() as folder:
        redis = OwnRedis(folder)
        redis.start()
        try:
            log, hits = hammer(redis.socket)
        finally:
            redis.kill()
    ideal = LIMIT * HAMMER_SECONDS / WINDOW_SECONDS
    largest = largest_count(log)
    share = f"{len(log)} of {hits} hits allowed in {HAMMER_SECONDS} s, {len(log) / ideal:.1%} of the ideal"
    figures = f"{share}, largest count {largest}"
    print(figures)
    assert largest <= LIMIT, figures
    assert len(log) >= 0.95 * ideal, figures
    assert hits > 2 * len(log), f"nobody hammered: {figures}"


@pytest.fixture
def redis() -> Iterator[OwnRedis]:
    with data_folder() as folder:
        server = OwnRedis(folder)
        server.start()
        yield server
        server.kill()


def load(running: Web, stop: threading.Event) -> None:
    while not stop.is_set():
        running.get("/api/macro")


def test_redis_killed_in_mid_load(redis: OwnRedis) -> None:
    """No 500; reads go on under the local limit; the metric counts; exact again within 5 s of its return."""
    rates = "anonymous=24/2s"
    with web(redis.folder, THROTTLING_REDIS_URL=f"unix://{redis.socket}", THROTTLE_RATES=rates) as running:
        assert "RateLimit-Policy" in running.get("/api/macro").headers
        stop = threading.Event()
        with ThreadPoolExecutor(4) as pool:
            clients = [pool.submit(load, running, stop) for _ in range(4)]
            try:
                for _ in range(OUTAGES):
                    _one_outage(redis, running)
            finally:
                stop.set()
            assert all(client.result() is None for client in clients)
        answers = set(running.statuses)
    assert answers == {200, 429}


def _one_outage(redis: OwnRedis, running: Web) -> None:
    time.sleep(1.0)
    before = running.metric("avo_throttle_degraded_total")
    redis.kill()
    time.sleep(2.0)
    reads = [running.get("/api/macro") for _ in range(60)]
    assert {read.status_code for read in reads} == {200, 429}
    assert not any("RateLimit-Policy" in read.headers for read in reads)
    assert running.metric("avo_throttle_degraded_total") > before
    redis.start()
    back_at = time.monotonic()
    eventually(lambda: all("RateLimit-Policy" in running.get("/api/macro").headers for _ in range(12)), 5)
    print(f"exact again after {time.monotonic() - back_at:.1f} s")
