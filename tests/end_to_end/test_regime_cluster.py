"""The regime role on a Redis Cluster of three primaries: every command, and states on all of them."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from redis import RedisCluster
from redis.cluster import ClusterNode

from tests.end_to_end.cluster_nodes import cli, free_node_ports, node
from tests.end_to_end.system import ROOT, data_folder, environment_for, eventually, manage

STATES = 300


@pytest.fixture(scope="module")
def ports() -> Iterator[list[int]]:
    with data_folder() as folder, ExitStack() as stack:
        found = [stack.enter_context(node(folder, port)) for port in free_node_ports(3)]
        addresses = [f"127.0.0.1:{port}" for port in found]
        subprocess.run(
            ["redis-cli", "--cluster", "create", *addresses, "--cluster-yes"], check=True, capture_output=True
        )
        eventually(lambda: all("cluster_state:ok" in cli(port, "cluster", "info") for port in found))
        yield found


@pytest.fixture
def environment(ports: list[int]) -> Iterator[dict[str, str]]:
    with data_folder() as folder:
        url = "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in ports)
        yield {**environment_for(folder), "REGIME_REDIS_URL": url}


@pytest.fixture
def cluster(ports: list[int]) -> Any:
    client = RedisCluster(startup_nodes=[ClusterNode("127.0.0.1", port) for port in ports])
    for primary in client.get_primaries():
        client.flushall(target_nodes=primary)
    yield client
    client.close()


def test_all_primaries_are_written_scanned_and_backfilled(cluster: Any, environment: dict[str, str]) -> None:
    now = int(time.time())
    for number in range(STATES):
        cluster.hset(f"argus:regime:F{number}", mapping={"computed_at": now - 60, "bull:1mo": "0.5"})
    assert all(client.dbsize() > 0 for client in primaries(cluster))

    report = json.loads(manage(environment, "backfill_regime_ttl", "--json"))
    assert (report["scanned"], report["fixed"]) == (STATES, STATES)
    assert all(0 < cluster.ttl(f"argus:regime:F{number}") <= 86_400 for number in range(STATES))
    assert json.loads(manage(environment, "backfill_regime_ttl", "--json", "--batch", "100"))["already_ok"] == STATES

    lines = "\n".join(
        json.dumps({"symbol": f"O{number}", "computed_at": now, "scores": {"1mo": {"bear": 0.7}}})
        for number in range(STATES)
    )
    done = subprocess.run(
        [sys.executable, "manage.py", "write_regimes", "-"], cwd=ROOT, env=environment, input=lines, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert f"written={STATES}" in done.stdout, done.stderr
    assert all(cluster.ttl(f"argus:regime:O{number}") > 0 for number in range(STATES))
    assert cluster.hget("avo:{regime}:pointer", "symbols") == str(2 * STATES).encode()

    assert f"current={2 * STATES}" in manage(environment, "refresh_regime_collection")
    shown = manage(environment, "shell", "--no-imports", "-c", LOOK)
    assert "O7 bear True" in shown
    assert f"changed {STATES}" in shown


LOOK = """
from django_redis import get_redis_connection
from regime.domain.state import FIELDS
from regime.services.inspection import RegimeInspection
from regime.services.transitions import changes_of_dominant_regime
inspection = RegimeInspection.connect()
lookup = inspection.look_up("O7")
print("O7", "bear" if lookup.state.scores[FIELDS.index("bear:1mo")] == 0.7 else "?", lookup.classification.is_current)
print("changed", len(changes_of_dominant_regime("1mo")[1]))
assert inspection.overview().sample.without_ttl == 0
"""


def primaries(cluster: Any) -> list[Any]:
    return [cluster.get_redis_connection(node) for node in cluster.get_primaries()]
