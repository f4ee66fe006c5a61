"""Consumers killed at random and a server that restarts: every signal is executed once.

Short by default; ``make chaos`` runs the long form. ``AVO_CHAOS_SEED=<printed seed>`` reruns a run. With DATABASE_URL
the rows are booked there (``bin/with-postgres``).
"""

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from redis import Redis

from avo_project.embedded_redis.server import EmbeddedServer
from tests.end_to_end.embedded_user import kill, server_of
from tests.end_to_end.system import ROOT, data_folder, environment_for, eventually, manage
from tests.signals_app.fork_server import ForkServer, fork_server, is_running

GROUP = "apex-group"
LIST_EXECUTIONS = """
from signals_app.models import Execution
print(*Execution.objects.values_list("signal_id", flat=True))
"""


@dataclass(frozen=True)
class Plan:
    signals: int
    kills: int
    restarts: int
    pause_seconds: float


SHORT = Plan(signals=20_000, kills=50, restarts=5, pause_seconds=0.1)
LONG = Plan(signals=209_033, kills=300, restarts=15, pause_seconds=0.4)
BRIEF = Plan(signals=4_000, kills=12, restarts=2, pause_seconds=0.1)


def test_chaos_every_signal_is_executed_once_whoever_is_killed() -> None:
    wreak(LONG if os.environ.get("AVO_CHAOS") == "long" else SHORT)


def test_chaos_on_postgresql_too() -> None:
    with postgresql() as url:
        wreak(SHORT if os.environ.get("AVO_CHAOS") == "long" else BRIEF, DATABASE_URL=url)


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a server that ends with the block."""
    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("PostgreSQL is missing: apt-get install postgresql")
    command = ["bin/with-postgres", "sh", "-c", 'echo "$DATABASE_URL"; read line']
    server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout
    try:
        yield server.stdout.readline().strip()
    finally:
        server.communicate("\n", timeout=60)


def wreak(plan: Plan, **variables: str) -> None:
    seed = int(os.environ.get("AVO_CHAOS_SEED") or random.randrange(2**32))
    print(f"\nrerun with AVO_CHAOS_SEED={seed}; {plan}")
    with data_folder() as folder:
        environment = environment_for(folder) | variables
        manage(environment, "migrate", "--verbosity", "0")
        with fork_server(environment, folder / "consumers.log") as consumers:
            Chaos(plan, random.Random(seed), folder, environment, consumers).run()


class Chaos:
    def __init__(
        self, plan: Plan, chance: random.Random, folder: Path, environment: dict[str, str], consumers: ForkServer
    ) -> None:
        self.plan = plan
        self.chance = chance
        self.folder = folder
        self.environment = environment
        self.consumers = consumers
        self.alive: list[int] = []
        self.killed = 0
        self.signal_ids = [str(uuid.UUID(int=chance.getrandbits(128))) for _ in range(plan.signals)]

    def run(self) -> None:
        publisher = subprocess.Popen(
            [sys.executable, "manage.py", "publish_signals", "-"],
            cwd=ROOT, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.alive = [self.start_consumer() for _ in range(3)]
        restart_at = set(self.chance.sample(range(self.plan.kills), self.plan.restarts))
        for turn in range(self.plan.kills):
            self.publish_share(publisher, turn)
            time.sleep(self.chance.uniform(0, 2 * self.plan.pause_seconds))
            self.kill_one()
            if turn in restart_at:
                kill(server_of(self.folder))
        output, _ = publisher.communicate(timeout=120)
        assert output == f"published={self.plan.signals} bad=0\n".encode()
        self.check_all_are_executed()

    def publish_share(self, publisher: subprocess.Popen[bytes], turn: int) -> None:
        assert publisher.stdin
        share = slice(turn * self.plan.signals // self.plan.kills, (turn + 1) * self.plan.signals // self.plan.kills)
        for number, signal_id in enumerate(self.signal_ids[share]):
            direction = self.chance.choice(["long", "short", "flat"])
            line = {"signal_id": signal_id, "symbol": f"S{number}", "direction": direction, "confidence": 0.5}
            publisher.stdin.write(orjson.dumps(line) + b"\n")
        publisher.stdin.flush()

    def start_consumer(self) -> int:
        count = self.chance.choice(["1", "10", "100"])
        return self.consumers.start("consume_signals", "--count", count, "--claim-idle-ms", "500", "--block-ms", "200")

    def kill_one(self) -> None:
        victim = self.alive.pop(self.chance.randrange(len(self.alive)))
        assert is_running(victim), f"a consumer ended by itself:\n{self.consumers.log.read_text()[-5_000:]}"
        os.kill(victim, signal.SIGKILL)
        self.killed += 1
        self.alive.append(self.start_consumer())

    def check_all_are_executed(self) -> None:
        manage(self.environment, "consume_signals", "--stop-when-idle", "--claim-idle-ms", "500", "--count", "500")
        for consumer in self.alive:
            os.kill(consumer, signal.SIGTERM)
        eventually(lambda: not any(is_running(consumer) for consumer in self.alive), seconds=10)
        client = Redis(unix_socket_path=str(EmbeddedServer(self.folder).socket_path))
        rows = manage(self.environment, "shell", "--no-imports", "-c", LIST_EXECUTIONS).split()
        assert self.killed == self.plan.kills
        assert len(rows) == self.plan.signals
        assert set(rows) == set(self.signal_ids)
        assert client.xpending("signals:live", GROUP)["pending"] == 0
        assert client.xlen("{signals:live}:dead") == 0
