"""The commands over PostgreSQL behind pgbouncer in transaction mode, where two statements may see two connections."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from tests.end_to_end.system import ROOT, data_folder, environment_for, eventually, free_port, manage
from tests.signals_app.conftest import fields

TOUCHES = 2_500  # more than a page
_CONFIGURATION = """
[databases]
postgres = {target}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
auth_file = {folder}/users.txt
pool_mode = transaction
default_pool_size = 3
ignore_startup_parameters = extra_float_digits,options
"""


@contextmanager
def pgbouncer(folder: Path) -> Iterator[str]:
    """The DATABASE_URL of a server of its own behind pgbouncer. Skips the test where they are missing, and fails it in
    CI."""
    if shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing("pgbouncer is not on the PATH: apt-get install pgbouncer postgresql")
    server = subprocess.Popen(
        [str(ROOT / "bin" / "with-postgres"), "sh", "-c", "echo $DATABASE_URL; exec sleep 3600"],
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert server.stdout is not None
    try:
        host, _, number = server.stdout.readline().strip().rpartition("@")[2].partition("/")[0].partition(":")
        port = free_port()
        own = folder / "pgbouncer"
        own.mkdir()
        (own / "users.txt").write_text('"avo" ""\n')
        target = f"host={host} port={number} dbname=postgres user=avo"
        (own / "pgbouncer.ini").write_text(_CONFIGURATION.format(target=target, port=port, folder=own))
        command = ["pgbouncer", str(own / "pgbouncer.ini")]
        if os.geteuid() == 0:  # it refuses to run as root
            for path in (folder, own, *own.iterdir()):
                path.chmod(0o755)
            command[1:1] = ["-u", "postgres"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as bouncer:
            try:
                yield f"postgres://avo@127.0.0.1:{port}/postgres"
            finally:
                bouncer.terminate()
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.communicate(timeout=30)


def test_commands_side_by_side(tmp_path_factory: pytest.TempPathFactory) -> None:
    with data_folder() as folder, pgbouncer(folder) as url:
        environment = environment_for(folder) | {"DATABASE_URL": url}
        eventually(lambda: migrated(environment))
        for number in range(10):
            manage(environment, "set_inbox", f"i{number}@example.com")
        lines = [touch(number) for number in range(TOUCHES)]
        (folder / "touches.ndjson").write_bytes(b"\n".join(lines))
        manage(environment, "enqueue_touches", str(folder / "touches.ndjson"))
        flush_lanes(environment)
        (folder / "signals.ndjson").write_bytes(b"\n".join(orjson.dumps(fields(number)) for number in range(300)))
        manage(environment, "publish_signals", str(folder / "signals.ndjson"))
        commands = [
            *[("reconcile_outreach", "--json")] * 2,
            *[("outreach_forecast", "--json")] * 2,
            *[("consume_signals", "--stop-when-idle", "--consumer", f"c{number}") for number in range(2)],
        ]
        running = [
            subprocess.Popen(
                [sys.executable, "manage.py", *command],
                cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for command in commands
        ]  # fmt: skip
        ended = [(process.communicate(timeout=120), process.returncode) for process in running]
        assert [(code, log) for (_, log), code in ended if code] == []
        forecasts = [json.loads(line) for line in ended[2][0][0].splitlines()]
        assert sum(forecast["queued"] for forecast in forecasts) == TOUCHES
        count = "from signals_app.models import Execution; print(Execution.objects.count())"
        assert manage(environment, "shell", "--no-imports", "-c", count).strip() == "300"


def migrated(environment: dict[str, str]) -> bool:
    command = [sys.executable, "manage.py", "migrate", "-v0"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False).returncode == 0


def touch(number: int) -> bytes:
    draft = {"inbox": f"i{number % 10}@example.com", "recipient": f"r{number}@example.com", "subject": "s", "body": "b"}
    return orjson.dumps(draft)


def flush_lanes(environment: dict[str, str]) -> None:
    """As a Redis that lost its data: reconcile walks over every unfinished touch."""
    flush = "from django_redis import get_redis_connection as get; get('outreach').flushdb()"
    manage(environment, "shell", "--no-imports", "-c", flush)
