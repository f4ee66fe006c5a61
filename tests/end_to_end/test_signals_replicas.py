"""Publishing with SIGNALS_WAIT_REPLICAS on a real primary with a real replica."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from tests.end_to_end.cluster_nodes import cli, free_node_ports
from tests.end_to_end.system import ROOT, data_folder, environment_for, eventually
from tests.signals_app.conftest import fields


@contextmanager
def primary_with_replica(folder: Path) -> Iterator[tuple[int, int, subprocess.Popen[bytes]]]:
    """The ports of both, and the process of the replica."""
    primary, replica = free_node_ports(2)
    options = ["--bind", "127.0.0.1", "--save", "", "--repl-diskless-sync-delay", "0", "--dir", str(folder)]
    processes = [
        subprocess.Popen(["redis-server", "--port", str(port), *options, *more], stdout=subprocess.DEVNULL)
        for port, more in ((primary, ()), (replica, ("--replicaof", f"127.0.0.1 {primary}")))
    ]
    try:
        eventually(lambda: "master_link_status:up" in cli(replica, "info", "replication"))
        eventually(lambda: "state=online" in cli(primary, "info", "replication"))
        yield primary, replica, processes[1]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def publishing(environment: dict[str, str], path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "publish_signals", str(path)],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_publish_waits_for_its_replica_and_adds_nothing_twice() -> None:
    with data_folder() as folder, primary_with_replica(folder) as (primary, replica, process):
        environment = environment_for(folder) | {
            "SIGNALS_REDIS_URL": f"redis://127.0.0.1:{primary}",
            "SIGNALS_WAIT_REPLICAS": "1",
        }
        path = folder / "signals.ndjson"
        path.write_bytes(b"".join(orjson.dumps(fields(number)) + b"\n" for number in range(20)))
        assert publishing(environment, path).communicate(timeout=60)[0] == "published=20 bad=0\n"
        assert cli(replica, "xlen", "signals:live") == "20"

        process.send_signal(signal.SIGSTOP)
        waiting = publishing(environment, path)
        try:
            eventually(lambda: cli(primary, "xlen", "signals:live") == "40")
            time.sleep(3)
            assert waiting.poll() is None, "acknowledged by the primary alone"
            process.send_signal(signal.SIGCONT)
            output, log = waiting.communicate(timeout=60)
        finally:
            waiting.kill()
        assert output == "published=20 bad=0\n"
        assert "but 0 of 1 replicas (SIGNALS_WAIT_REPLICAS) confirmed it within 1 s" in log
        assert {cli(port, "xlen", "signals:live") for port in (primary, replica)} == {"40"}
