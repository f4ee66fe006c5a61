"""The signals role on a Redis Cluster, whose slot moves to another server under a running consumer."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import orjson
import pytest

from tests.end_to_end.cluster_nodes import cli, free_node_ports, node
from tests.end_to_end.system import ROOT, data_folder, environment_for, eventually, manage
from tests.signals_app.conftest import fields


@pytest.fixture
def nodes() -> Iterator[tuple[int, int]]:
    """Two primaries; the first one has all the slots but one."""
    with data_folder() as folder, ExitStack() as stack:
        first, second = [stack.enter_context(node(folder, port)) for port in free_node_ports(2)]
        cli(first, "cluster", "addslotsrange", "1", "16383")
        cli(second, "cluster", "addslotsrange", "0", "0")
        cli(second, "cluster", "meet", "127.0.0.1", str(first))
        eventually(lambda: all("cluster_state:ok" in cli(port, "cluster", "info") for port in (first, second)))
        yield first, second


def move_signals(source: int, target: int) -> None:
    slot = cli(source, "cluster", "keyslot", "signals:live")
    names = {port: cli(port, "cluster", "myid") for port in (source, target)}
    assert cli(target, "cluster", "setslot", slot, "importing", names[source]) == "OK"
    assert cli(source, "cluster", "setslot", slot, "migrating", names[target]) == "OK"
    while keys := cli(source, "cluster", "getkeysinslot", slot, "100").split():
        cli(source, "migrate", "127.0.0.1", str(target), "", "0", "5000", "keys", *keys)
    for port in (target, source):
        assert cli(port, "cluster", "setslot", slot, "node", names[target]) == "OK"


def test_every_signal_is_executed_once_while_the_stream_moves(nodes: tuple[int, int]) -> None:
    with data_folder() as folder:
        environment = environment_for(folder) | {"SIGNALS_REDIS_URL": f"redis+cluster://127.0.0.1:{nodes[0]}"}
        assert publish(environment, folder, range(300)) == "published=300 bad=0\n"
        assert "executed=300 duplicates=0" in manage(environment, "consume_signals", "--stop-when-idle")
        consumer = subprocess.Popen(
            [sys.executable, "manage.py", "consume_signals", "--consumer", "one"],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        try:
            eventually(lambda: cli(nodes[0], "hexists", "{signals:live}:members", "apex-group one") == "1")
            move_signals(*nodes)
            assert publish(environment, folder, range(300, 600)) == "published=300 bad=0\n"
            eventually(lambda: ": 0 pending (oldest none), 0 not delivered" in manage(environment, "signal_lag"))
            consumer.send_signal(signal.SIGTERM)
            assert "executed=300 duplicates=0 dead=0" in consumer.communicate(timeout=10)[0]
        finally:
            consumer.kill()
            consumer.communicate()


def publish(environment: dict[str, str], folder: Path, numbers: range) -> str:
    path = folder / "signals.ndjson"
    path.write_bytes(b"\n".join(orjson.dumps(fields(number)) for number in numbers))
    return manage(environment, "publish_signals", str(path))
