"""What the web server itself lets through and refuses, before any code of ours sees the request."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.end_to_end.system import ROOT, System, data_folder, environment_for, eventually, free_port, manage
from tests.end_to_end.throttled_web import Web, web


def raw_answer(port: int, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer to raw bytes; the server must end the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(request)
        answer = b""
        while part := sock.recv(65_536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(status.split()[1]), headers, body


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /livez?" + b"x" * 50_000 + b" HTTP/1.1", 414),
        (b"GET /livez HTTP/1.1\r\nX-Long: " + b"x" * 200_000, 431),
        (b"GET /livez HTTP/1.1\r\n" + b"\r\n".join(b"X-%d: 1" % number for number in range(70)), 431),
        (b"POST /webhooks/clerk HTTP/1.1\r\nContent-Length: 9000000", 413),
    ],
)
def test_what_is_no_proper_request_is_refused_with_a_problem(system: System, request_line: bytes, status: int) -> None:
    answered, headers, body = raw_answer(system.port, request_line + b"\r\nHost: localhost\r\n\r\n")
    assert (answered, headers["content-type"]) == (status, "application/problem+json")
    assert json.loads(body)["status"] == status


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"no request at all\r\nHost: localhost", 400),
        (b"GET /livez?" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: localhost", 414),
        (b"GET /livez HTTP/1.1\r\n" + b"\r\n".join(b"X-%d: 1" % number for number in range(200)), 431),
    ],
)
def test_what_cannot_be_parsed_is_refused_without_a_body(system: System, request_head: bytes, status: int) -> None:
    """By the HTTP parser, which knows of no documents."""
    answered, headers, body = raw_answer(system.port, request_head + b"\r\n\r\n")
    assert (answered, headers["content-length"], headers["connection"], body) == (status, "0", "close", b"")


def test_five_hundred_symbols_fit_in_a_query(system: System) -> None:
    symbols = ",".join(f"SYMBOL{number:058}" for number in range(500))
    assert system.get(f"/api/intelligence/regime?symbols={symbols}").status_code == 200


def test_an_answer_without_content_has_no_length(system: System) -> None:
    url = "/api/intelligence/regime"
    first = system.get(url, headers={"Accept-Encoding": "identity;q=1, gzip;q=0.5"})
    assert "Content-Encoding" not in first.headers
    unchanged = system.get(
        url, headers={"Accept-Encoding": "identity", "If-None-Match": f"bare, W/{first.headers['ETag']}"}
    )
    assert (unchanged.status_code, unchanged.headers["ETag"]) == (304, first.headers["ETag"])
    assert "Content-Length" not in unchanged.headers
    assert "Transfer-Encoding" not in unchanged.headers


def test_connections_are_kept(system: System) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{system.port}") as client:
        streams = [client.get("/livez").extensions["network_stream"] for _ in range(3)]
        assert len({stream.get_extra_info("client_addr") for stream in streams}) == 1


def test_the_live_feed_is_served_on_the_same_port(system: System) -> None:
    token = (system.data_dir / "operator_token").read_text()
    url = f"http://127.0.0.1:{system.port}/api/signals/stream"
    with httpx.stream("GET", url, headers={"Authorization": f"Token {token}"}, timeout=30) as answer:
        assert answer.status_code == 200
        assert next(answer.iter_lines()) == ": connected"


@pytest.mark.parametrize("chunked", [True, False])
def test_a_chunked_body_gets_the_answer_of_one_with_a_length(system: System, chunked: bool) -> None:
    token = (system.data_dir / "operator_token").read_text()
    touch = {"inbox": "carla@example.com", "recipient": "zoe@example.com", "subject": "s", "body": "b"}
    body = json.dumps(touch | {"idempotency_key": f"chunked-{chunked}"}).encode()
    content: bytes | Iterator[bytes] = iter([body[:10], body[10:]]) if chunked else body
    headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
    answer = httpx.post(f"http://127.0.0.1:{system.port}/api/outreach/touches", content=content, headers=headers)
    assert (answer.status_code, set(answer.json())) == (202, {"id", "status"})


@pytest.mark.parametrize("path", ["/api/limits", "/livez", "/api/signals/stream"])
@pytest.mark.parametrize("chunks", [b"ZZ\r\n", b"-1\r\n", b"f" * 18 + b"\r\n", b"3\r\nabcXX"])
def test_a_chunked_body_that_cannot_be_read_is_a_400(system: System, path: str, chunks: bytes) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    status, headers, body = raw_answer(system.port, head + chunks)
    assert (status, headers["content-type"]) == (400, "application/problem+json")
    assert json.loads(body)["detail"] == "The body is incomplete or its chunks are invalid. Send it again."


def test_a_touch_of_the_largest_size_fits_with_every_character_escaped(system: System) -> None:
    """As most JSON libraries write it by default."""
    token = (system.data_dir / "operator_token").read_text()
    touch = {"inbox": "carla@example.com", "recipient": "zoe@example.com", "subject": "s", "body": "я" * 500_000}
    content = json.dumps(touch, ensure_ascii=True)
    assert len(content) > 3_000_000
    headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
    url = f"http://127.0.0.1:{system.port}/api/outreach/touches"
    assert httpx.post(url, content=content, headers=headers, timeout=30).status_code == 202


def commands() -> dict[str, list[str]]:
    """The very arguments by which the Procfile, the units and compose start a web server."""
    lines = dict(re.findall(r"^(\w+): bin/keep_running (.+)$", (ROOT / "Procfile").read_text(), re.MULTILINE))
    for unit in ("avo-web", "avo-feed"):
        text = (ROOT / "deploy" / "systemd" / f"{unit}.service").read_text()
        lines[unit] = re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE)[0]
    image = json.loads(re.findall(r"^CMD (.+)$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)[0])
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
    found = {name: line.split() for name, line in lines.items() if "web_server" in line}
    found |= {f"compose {name}": services[name].get("command", image) for name in ("web", "feed")}
    assert len(found) == 6
    return {" ".join(words[1:]): words[1:] for words in found.values()}


@pytest.mark.parametrize("arguments", commands().values(), ids=commands().keys())
def test_nobody_chooses_the_address_that_is_counted(arguments: list[str]) -> None:
    """The peer is on loopback, as a proxy may be; with THROTTLE_NUM_PROXIES unset no field of the request counts."""
    with data_folder() as folder:
        port = free_port()
        environment = environment_for(folder, port) | {"THROTTLE_RATES": "anonymous=5/min;bad_token=5/min"}
        manage(environment, "migrate", "--verbosity", "0")
        server = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
        try:
            url = f"http://127.0.0.1:{port}"
            eventually(lambda: httpx.get(f"{url}/livez").status_code == 200)
            for headers in ({}, {"Authorization": "Bearer bad"}):
                statuses = []
                for number in range(15):
                    fields = ("X-Forwarded-For", "X-Real-IP", "X_Forwarded_For", "Forwarded")
                    claims = dict.fromkeys(fields, f"203.0.113.{number}")
                    statuses.append(httpx.get(f"{url}/api/macro", headers=headers | claims).status_code)
                assert statuses.count(429) == 10, (headers, statuses)
        finally:
            server.terminate()
            server.wait(timeout=20)


def test_a_client_error_is_logged_as_info_and_counted_as_4xx(tmp_path: Path) -> None:
    """HEAD on any kind of route, wrong requests, a foreign Host: nothing above INFO is logged, no 5xx is counted."""
    paths = (
        "/livez",
        "/",
        "/api/macro",
        "/api/limits",
        "/api/docs",
        "/admin/login/",
        "/nowhere",
        "/api/signals/stream",
    )
    with data_folder() as folder, web(folder, workers=1, log=tmp_path / "log", LOG_LEVEL="INFO") as running:
        for path in paths:
            running.request("HEAD", path)
        assert running.get("/livez", Host="evil.example").status_code == 400
        assert running.request("PUT", "/api/limits").status_code == 405
        assert running.get("/api/signals").status_code == 401
        assert running.request("POST", "/webhooks/clerk").status_code == 404
        assert all(status < 500 for status in running.statuses)
        failures = [line for line in running.get("/metrics").text.splitlines() if 'status="5xx"' in line]
        assert [line for line in failures if not line.endswith(" 0.0")] == []
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert any("evil.example" in line["message"] for line in lines)
    assert [line for line in lines if line["level"] not in {"INFO", "DEBUG"}] == []


def counted(running: Web) -> float:
    sample = 'avo_http_request_seconds_count{method="GET",route="api/limits",status="2xx"}'
    page = running.get("/metrics").text
    return float(next((line.rpartition(" ")[2] for line in page.splitlines() if line.startswith(sample)), "0"))


def test_counters_outlive_workers_that_are_killed() -> None:
    with data_folder() as folder, web(folder, workers=2) as running:
        for _ in range(10):
            assert running.get("/api/limits").status_code == 200
        first, second = running.workers()
        subprocess.run(["kill", "-9", str(first)], check=True)
        eventually(lambda: len(set(running.workers()) - {first}) == 2)
        for _ in range(10):
            assert running.get("/api/limits").status_code == 200
        assert {counted(running) for _ in range(6)} == {20.0}
        assert second in running.workers()


def test_a_server_that_is_killed_leaves_no_workers() -> None:
    with data_folder() as folder, web(folder, workers=2) as running:
        workers = running.workers()
        assert len(workers) == 2
        running.process.kill()
        eventually(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
