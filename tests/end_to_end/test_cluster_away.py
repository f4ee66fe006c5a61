"""A Redis Cluster that goes away and comes back: nobody ends for it, nobody answers with an error of ours."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import orjson
import pytest

from tests.end_to_end.cluster_nodes import cli, free_node_ports, node
from tests.end_to_end.system import (
    ROOT,
    STARTS_WITHIN_SECONDS,
    WEB_SERVER,
    data_folder,
    environment_for,
    eventually,
    free_port,
    manage,
)
from tests.signals_app.conftest import fields

LOOPS = (
    WEB_SERVER,
    (sys.executable, "manage.py", "consume_signals"),
    (sys.executable, "manage.py", "outreach_worker"),
    (sys.executable, "manage.py", "refresh_regime_collection", "--watch", "1"),
    (sys.executable, "manage.py", "watch_signals"),
)


@contextmanager
def running(environment: dict[str, str]) -> Iterator[list[subprocess.Popen[bytes]]]:
    manage(environment, "migrate", "-v0")
    started = [subprocess.Popen(command, cwd=ROOT, env=environment) for command in LOOPS]
    try:
        yield started
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(timeout=30)


@pytest.fixture
def folder() -> Iterator[Path]:
    with data_folder() as found:
        yield found


def statuses(web: str) -> dict[str, int]:
    paths = ("livez", "readyz", "metrics", "api/limits", "api/intelligence/regime", "api/intelligence/regime/AAPL")
    return {path: httpx.get(f"{web}/{path}", timeout=30).status_code for path in paths}


def test_everybody_waits_for_a_cluster_that_is_away(folder: Path) -> None:
    [port] = free_node_ports(1)
    environment = environment_for(folder, free_port()) | {"REDIS_URL": f"redis+cluster://127.0.0.1:{port}"}
    web = f"http://127.0.0.1:{environment['PORT']}"
    with ExitStack() as stack:
        with node(folder, port):
            cli(port, "cluster", "addslotsrange", "0", "16383")
            eventually(lambda: "cluster_state:ok" in cli(port, "cluster", "info"))
            processes = stack.enter_context(running(environment))
            eventually(lambda: httpx.get(f"{web}/readyz").status_code == 200, STARTS_WITHIN_SECONDS)
            eventually(lambda: cli(port, "xinfo", "groups", "signals:live"), STARTS_WITHIN_SECONDS)
        eventually(lambda: statuses(web)["readyz"] == 503)
        away = statuses(web)
        assert (away["livez"], away["metrics"], away["api/limits"]) == (200, 200, 200)
        assert {away["api/intelligence/regime"], away["api/intelligence/regime/AAPL"]} == {503}
        with node(folder, port):
            eventually(lambda: httpx.get(f"{web}/readyz").status_code == 200)
            signals = folder / "signals.ndjson"
            signals.write_bytes(b"\n".join(orjson.dumps(fields(number)) for number in range(20)))
            assert manage(environment, "publish_signals", str(signals)) == "published=20 bad=0\n"
            eventually(lambda: ": 0 pending (oldest none), 0 not delivered" in manage(environment, "signal_lag"))
            assert [process.poll() for process in processes] == [None] * len(LOOPS)
