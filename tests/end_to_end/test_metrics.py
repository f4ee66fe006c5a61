"""How figures add up: over the workers of one web server, and of commands that have no web server."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.nginx import nginx
from tests.end_to_end.system import ROOT, System, data_folder, environment_for, eventually, free_port, manage
from tests.end_to_end.throttled_web import web

_LOOK = 'avo_http_request_seconds_count{method="GET",route="api/limits",status="2xx"}'


def value_of(sample: str, page: str) -> float:
    return float(next((line.rpartition(" ")[2] for line in page.splitlines() if line.startswith(sample)), "0"))


def test_the_workers_of_one_server_are_counted_together() -> None:
    with data_folder() as folder, web(folder, workers=2) as running:
        for _ in range(20):
            assert running.get("/api/limits").status_code == 200
        assert {value_of(_LOOK, running.get("/metrics").text) for _ in range(6)} == {20.0}


@pytest.mark.parametrize("host", ["avo.example", "localhost", "127.0.0.1"])
def test_a_plain_proxy_on_this_host_is_no_program_on_this_host(system: System, tmp_path: Path, host: str) -> None:
    assert system.get("/metrics").status_code == 200
    with nginx(tmp_path, behind=system.port) as port:
        for path, status in (("/livez", 200), ("/metrics", 403)):
            assert httpx.get(f"http://127.0.0.1:{port}{path}", headers={"Host": host}).status_code == status


def test_a_command_serves_its_own_counters() -> None:
    with data_folder() as folder:
        port = free_port()
        environment = environment_for(folder) | {"METRICS_LISTEN": f"127.0.0.1:{port}"}
        worker = subprocess.Popen(
            [sys.executable, "manage.py", "consume_signals"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            eventually(lambda: "avo_signals_events_total" in httpx.get(f"http://127.0.0.1:{port}/metrics").text)
            eventually(lambda: '"alive":true' in manage(environment, "signal_lag", "--json"))
        finally:
            worker.terminate()
            assert worker.wait(timeout=20) == 0
