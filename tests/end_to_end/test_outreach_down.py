"""Commands whose Redis or database is away: no traceback, one line that says what to do."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.system import ROOT, data_folder, environment_for, free_port

TOUCH = '{"inbox": "a@example.com", "recipient": "b@example.com", "body": "Hello"}'
READERS = ("reconcile_outreach", "outreach_forecast")
WRITERS = ("set_inbox a@example.com", "enqueue_touches -", "redrive_touches", "forget_recipient x@example.com")


def without_redis(folder: Path) -> dict[str, str]:
    return {**environment_for(folder), "OUTREACH_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}


def without_tables(folder: Path) -> dict[str, str]:
    return {**environment_for(folder), "DATABASE_URL": f"sqlite:///{folder / 'other.sqlite3'}"}


def run(environment: dict[str, str], command: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "manage.py", *command.split()],
        cwd=ROOT, env=environment, input=TOUCH, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize("command", [*READERS, *WRITERS])
def test_a_missing_table_is_one_line(command: str) -> None:
    with data_folder() as folder:
        status, said = run(without_tables(folder), command)
    assert (status, said.count("\n")) == (1, 1), said
    assert said.startswith("CommandError: the database failed: no such table: ")


def test_redis_away_is_one_line_and_loses_nothing() -> None:
    with data_folder() as folder:
        environment = without_redis(folder)
        assert run(environment, "set_inbox a@example.com")[0] == 0
        status, said = run(environment, "enqueue_touches -")
        assert status == 0
        assert "1 touches are in the ledger but not yet in the queue" in said
        for command in (*READERS, "outreach_worker --stop-when-idle"):
            status, said = run(environment, command)
            assert status == 1
            assert "Traceback" not in said
            assert said.splitlines()[-1].startswith("CommandError: the Redis of the role outreach failed: ")
        assert '"unfinished": 1' in subprocess.run(
            [sys.executable, "manage.py", "reconcile_outreach", "--json"],
            cwd=ROOT, env=environment_for(folder), capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip


@pytest.mark.parametrize("surroundings", [without_redis, without_tables])
def test_a_worker_waits_for_what_is_away_and_ends_when_it_is_told_to(surroundings: object) -> None:
    with data_folder() as folder:
        worker = subprocess.Popen(
            [sys.executable, "manage.py", "outreach_worker"],
            cwd=ROOT, env=surroundings(folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,  # type: ignore[operator]
        )  # fmt: skip
        assert worker.stderr is not None
        said = [next(line for line in worker.stderr if "next try in" in line) for _ in range(2)]
        worker.send_signal(signal.SIGTERM)
        output, rest = worker.communicate(timeout=10)
    assert worker.returncode == 0, rest
    assert output.startswith("sent=0 ")
    assert "Traceback" not in rest + "".join(said)
