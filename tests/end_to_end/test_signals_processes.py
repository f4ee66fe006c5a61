"""Consumers as real processes: slow, stopped, killed, asked to end, flooded."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from redis import Redis

from avo_project.embedded_redis.server import EmbeddedServer
from tests.end_to_end.embedded_user import server_of
from tests.end_to_end.system import ROOT, data_folder, environment_for, eventually, manage
from tests.signals_app.conftest import fields

GROUP = "apex-group"
IS_LONG = os.environ.get("AVO_CHAOS") == "long"
SLOW = ("--handler", "tests.end_to_end.slow_handlers.record_slowly")


@dataclass
class Bench:
    """A data folder, its server, and consumers in it."""

    folder: Path
    environment: dict[str, str]

    def __post_init__(self) -> None:
        self.running: list[subprocess.Popen[str]] = []

    @property
    def redis(self) -> Redis:
        return Redis(unix_socket_path=str(EmbeddedServer(self.folder).socket_path))

    def publish(self, number: int, symbols: int = 1) -> None:
        """Signal n is of symbol ``S<n % symbols>``."""
        lines = b"\n".join(orjson.dumps(fields(one, symbol=f"S{one % symbols}")) for one in range(number))
        path = self.folder / "signals.ndjson"
        path.write_bytes(lines)
        assert manage(self.environment, "publish_signals", str(path)) == f"published={number} bad=0\n"

    def start(self, *options: str, seconds: float = 0.0) -> subprocess.Popen[str]:
        environment = self.environment | {
            "AVO_TEST_SECONDS": str(seconds),
            "AVO_TEST_RECORD": str(self.folder / "record"),
        }
        command = [sys.executable, "manage.py", "consume_signals", "--block-ms", "100", *options]
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.running.append(process)
        return process

    def end(self, process: subprocess.Popen[str]) -> str:
        """SIGTERM; the summary line. It has to exit 0 within 10 s."""
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=10)
        assert process.returncode == 0, errors
        return output.strip()

    def recorded(self, suffix: str = "") -> list[int]:
        path = (self.folder / "record").with_suffix(suffix)
        return [int(line.split()[0]) for line in path.read_text().splitlines()] if path.exists() else []

    def pending(self) -> int:
        return int(self.redis.xpending("signals:live", GROUP)["pending"])

    def freeze(self, process: subprocess.Popen[str]) -> None:
        """SIGSTOP, but not within a transaction: SQLite keeps everybody out for as long as its owner sleeps."""
        with closing(sqlite3.connect(self.folder / "db.sqlite3", timeout=1, isolation_level=None)) as database:
            while True:
                process.send_signal(signal.SIGSTOP)
                try:
                    database.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError:
                    process.send_signal(signal.SIGCONT)
                else:
                    database.execute("ROLLBACK")
                    return

    def executions(self) -> int:
        with closing(sqlite3.connect(self.folder / "db.sqlite3")) as database:
            return int(database.execute("SELECT count(*) FROM signals_app_execution").fetchone()[0])


@pytest.fixture
def bench() -> Iterator[Bench]:
    with data_folder() as folder:
        ready = Bench(folder, environment_for(folder))
        try:
            yield ready
        finally:
            for process in ready.running:
                process.kill()
                process.communicate()


def test_chaos_a_handler_slower_than_the_claim_time_runs_once(bench: Bench) -> None:
    seconds, idle_ms = (90.0, "2000") if IS_LONG else (7.0, "500")  # a heartbeat lives for four seconds
    bench.publish(1)
    consumers = [bench.start(*SLOW, "--claim-idle-ms", idle_ms, seconds=seconds) for _ in range(2)]
    eventually(bench.recorded, seconds=seconds + 20)
    eventually(lambda: bench.pending() == 0)
    assert sorted(bench.end(consumer) for consumer in consumers) == [
        "consumed=0 executed=0 duplicates=0 dead=0 reclaimed=0",
        "consumed=1 executed=1 duplicates=0 dead=0 reclaimed=0",
    ]
    assert bench.recorded() == bench.recorded(".begun") == [0]


def test_a_consumer_that_hangs_is_relieved_and_does_no_second_effect_when_it_wakes_up(bench: Bench) -> None:
    bench.publish(20)
    hanging = bench.start(*SLOW, "--claim-idle-ms", "500", "--count", "20", seconds=0.2)
    eventually(lambda: len(bench.recorded()) >= 3)
    hanging.send_signal(signal.SIGSTOP)
    done = bench.recorded()
    in_hand = set(bench.recorded(".begun")) - set(done)
    bench.start(*SLOW, "--claim-idle-ms", "500", seconds=0.01)
    eventually(lambda: set(bench.recorded()) == set(range(20)))
    eventually(lambda: bench.pending() == 0)
    hanging.send_signal(signal.SIGCONT)
    time.sleep(2)
    twice = {number for number, times in Counter(bench.recorded()).items() if times > 1}
    # What was finished but not yet acknowledged, and the one in the middle of its handler: a handler's own business.
    assert twice <= in_hand | set(done[-1:])
    assert bench.end(hanging)


def test_a_hanging_paper_executor_books_nothing_twice(bench: Bench) -> None:
    manage(bench.environment, "migrate", "-v0")
    hanging = bench.start("--claim-idle-ms", "200", "--count", "50")
    chance = random.Random(4)
    for round_ in range(3):
        bench.publish(300 * (round_ + 1))
        time.sleep(chance.uniform(0, 0.1))
        bench.freeze(hanging)
        manage(bench.environment, "consume_signals", "--stop-when-idle", "--claim-idle-ms", "200")
        assert bench.executions() == 300 * (round_ + 1)
        hanging.send_signal(signal.SIGCONT)
    eventually(lambda: bench.pending() == 0)
    assert bench.end(hanging)
    assert bench.executions() == 900


def test_what_a_killed_consumer_held_is_recovered_in_time(bench: Bench) -> None:
    bench.publish(10)
    victim = bench.start(*SLOW, seconds=60)
    eventually(lambda: bench.recorded(".begun"))
    heir = bench.start(*SLOW, "--claim-idle-ms", "2000", seconds=0)
    eventually(lambda: len(bench.redis.xinfo_consumers("signals:live", GROUP)) == 2)
    victim.kill()
    killed_at = time.monotonic()
    eventually(lambda: set(bench.recorded()) == set(range(10)))
    assert time.monotonic() - killed_at < 2 + 5
    assert bench.end(heir) == "consumed=10 executed=10 duplicates=0 dead=0 reclaimed=10"


def test_asked_to_end_it_hands_back_the_rest_at_once(bench: Bench) -> None:
    bench.publish(100)
    leaving = bench.start(*SLOW, "--count", "100", "--claim-idle-ms", "3600000", seconds=0.5)
    eventually(bench.recorded)
    heir = bench.start(*SLOW, "--claim-idle-ms", "3600000", seconds=0)
    eventually(lambda: len(bench.redis.xinfo_consumers("signals:live", GROUP)) == 2)
    summary = bench.end(leaving)
    eventually(lambda: set(bench.recorded()) == set(range(100)), seconds=5)
    assert len(bench.recorded()) == 100, "each once"
    assert f"executed={100 - int(bench.end(heir).split()[1].removeprefix('executed='))}" in summary


def test_a_handler_that_takes_for_ever_does_not_keep_the_process(bench: Bench) -> None:
    bench.publish(2)
    stuck = bench.start(*SLOW, seconds=300)
    eventually(lambda: bench.recorded(".begun"))
    assert bench.end(stuck) == "consumed=0 executed=0 duplicates=0 dead=0 reclaimed=0"
    rows = bench.redis.xpending_range("signals:live", GROUP, "-", "+", 10)
    assert [row["times_delivered"] for row in rows] == [1, 0], "the second one was never begun"


def test_asked_to_end_while_redis_hangs_it_ends_all_the_same(bench: Bench) -> None:
    bench.publish(2)
    waiting = bench.start(*SLOW, seconds=0)
    eventually(lambda: len(bench.recorded()) == 2)
    server = server_of(bench.folder)
    os.kill(server, signal.SIGSTOP)
    try:
        assert bench.end(waiting) == "consumed=2 executed=2 duplicates=0 dead=0 reclaimed=0"
    finally:
        os.kill(server, signal.SIGCONT)


def test_a_flood_is_not_trimmed_before_it_is_handled(bench: Bench) -> None:
    flood = 209_033
    manage(bench.environment, "consume_signals", "--stop-when-idle")
    bench.publish(flood)
    assert bench.redis.xlen("signals:live") == flood
    summary = manage(
        bench.environment,
        "consume_signals",
        "--stop-when-idle",
        "--count",
        "1000",
        "--handler",
        "signals_app.services.handling.ignore",
    )
    assert summary.strip() == f"consumed={flood} executed={flood} duplicates=0 dead=0 reclaimed=0"
    assert 50_000 <= bench.redis.xlen("signals:live") <= 50_200


def test_ordered_consumers_keep_each_symbols_order_also_when_one_is_killed(bench: Bench) -> None:
    number, symbols = 300, 7
    bench.publish(number, symbols)
    options = ("--ordered", "--claim-idle-ms", "1000", "--handler", "tests.end_to_end.slow_handlers.record_in_a_while")
    victim, *others = [bench.start(*options, seconds=0.05) for _ in range(3)]
    eventually(lambda: len(bench.recorded()) > number / 4)
    victim.kill()
    eventually(lambda: len(set(bench.recorded())) == number and bench.pending() == 0, 90)
    first_times = list(dict.fromkeys(bench.recorded()))
    for symbol in range(symbols):
        mine = [one for one in first_times if one % symbols == symbol]
        assert mine == sorted(mine)
    for consumer in others:
        assert " dead=0 " in bench.end(consumer)
