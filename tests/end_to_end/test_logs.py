"""What real processes log: JSON lines on standard error, a request's lines with its id, and no secret."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.end_to_end.system import ROOT, WEB_SERVER, data_folder, environment_for, eventually, free_port, manage
from tests.throttling.clerk import ISSUER, KEY

BAD_TOKEN = "eyJhbGciOiJub25lIn0.c2VzYW1lLW9wZW4teW91cnNlbGY.bm90LWEtc2lnbmF0dXJl"
UNSUBSCRIBE_TOKEN = "open-sesame-0123456789:1tZZZZ:signature"


@dataclass
class LoggedWeb:
    """A web server that writes its access log too, and the file its standard error goes to."""

    port: int
    log: Path

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=30, **options)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture(scope="module")
def web() -> Iterator[LoggedWeb]:
    with data_folder() as folder:
        port, log = free_port(), folder / "web.log"
        environment = environment_for(folder, port) | {
            "AVO_LOG_FORMAT": "json",
            "WEB_CONCURRENCY": "1",
            "WEB_ACCESS_LOG": "on",
            "CLERK_ISSUER": ISSUER,
            "CLERK_JWT_KEY": KEY.pem.replace("\n", "\\n"),
        }
        manage(environment, "migrate", "--verbosity", "0")
        with log.open("w") as stderr:
            process = subprocess.Popen(WEB_SERVER, cwd=ROOT, env=environment, stderr=stderr)
        running = LoggedWeb(port, log)
        try:
            eventually(lambda: running.get("/livez").status_code == 200)
            yield running
        finally:
            process.terminate()
            process.wait(timeout=20)


def test_a_request_with_a_bad_token_is_logged_with_its_id_and_without_the_token(web: LoggedWeb) -> None:
    headers = {"Authorization": f"Bearer {BAD_TOKEN}", "X-Request-ID": "bad-token-0001"}
    answer = web.get("/api/signals", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["X-Request-ID"] == "bad-token-0001"

    def of_request() -> list[dict[str, Any]]:
        return [line for line in web.lines() if line.get("request_id") == "bad-token-0001"]

    [line] = eventually(of_request)
    assert line["message"] == "Unauthorized: /api/signals"
    assert line["command"] == "web_server"
    assert BAD_TOKEN not in web.log.read_text()
    assert "sesame" not in web.log.read_text()


def test_no_log_has_the_token_of_an_unsubscribe_link(web: LoggedWeb) -> None:
    web.get(f"/u/{UNSUBSCRIBE_TOKEN}")
    web.get(f"/u/{UNSUBSCRIBE_TOKEN}/more?recipient=bob@example.org")
    eventually(lambda: web.log.read_text().count("/u/[hidden]") >= 4)  # Django's line and the server's, twice
    assert "sesame" not in web.log.read_text()
    assert "bob" not in web.log.read_text()


def test_the_servers_own_lines_are_json_too(web: LoggedWeb) -> None:
    assert any(line["logger"] == "_granian" and "Listening" in line["message"] for line in web.lines())


def test_a_command_logs_under_its_name_beside_its_json_answer() -> None:
    with data_folder() as folder:
        environment = environment_for(folder) | {"AVO_LOG_FORMAT": "json", "LOG_LEVEL": "INFO"}
        done = subprocess.run(
            [sys.executable, "manage.py", "signal_lag", "--json"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout)["stream"] == "signals:live"
        for line in done.stderr.splitlines():
            assert json.loads(line)["command"] == "signal_lag"
