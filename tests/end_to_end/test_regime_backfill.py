"""States by plain HSET without expiry, from a program that knows no more than the protocol: one backfill mends all."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from redis import Redis

from avo_project.embedded_redis.server import EmbeddedServer
from tests.end_to_end.system import ROOT, data_folder, environment_for, eventually, manage
from tests.end_to_end.throttled_web import web

STATES = 209_033 if os.environ.get("AVO_CHAOS") == "long" else 3_000
DAY = 86_400
FIELDS = [
    f"{regime}:{timeframe}"
    for regime in ("bull", "bear", "sideways", "volatile", "calm")
    for timeframe in ("1w", "2w", "1mo", "2mo", "3mo", "6mo", "1y", "2y")
]


@pytest.fixture
def folder() -> Iterator[Path]:
    with data_folder() as found:
        yield found


def command(*parts: object) -> bytes:
    texts = [str(part).encode() for part in parts]
    return b"*%d\r\n" % len(texts) + b"".join(b"$%d\r\n%b\r\n" % (len(text), text) for text in texts)


def stamp(number: int, now: int) -> list[object]:
    """Of ten states one is without a stamp and two are past their life."""
    kind = number % 10
    return [] if kind == 0 else ["computed_at", now - (DAY + number if kind <= 2 else number % DAY // 2)]


def write_plainly(path: Path, now: int) -> None:
    with socket.socket(socket.AF_UNIX) as plug:
        plug.connect(str(path))
        answers = plug.makefile("rb")
        for start in range(0, STATES, 500):
            numbers = range(start, min(start + 500, STATES))
            plug.sendall(b"".join(hset(number, now) for number in numbers))
            for _ in numbers:
                assert answers.readline().startswith(b":")


def hset(number: int, now: int) -> bytes:
    scores = [part for place, field in enumerate(FIELDS) for part in (field, f"0.{(number + place) % 10_000:04}")]
    return command("HSET", f"argus:regime:FOREIGN{number}", *stamp(number, now), *scores)


def test_chaos_one_backfill_mends_what_another_client_wrote(folder: Path) -> None:
    environment, server = environment_for(folder), EmbeddedServer(folder)
    server.ensure_running()
    client, now = Redis(unix_socket_path=str(server.socket_path)), int(time.time())
    write_plainly(server.socket_path, now)

    output = json.loads(manage(environment, "backfill_regime_ttl", "--json").splitlines()[-1])
    old = sum(number % 10 in (1, 2) for number in range(STATES))
    assert output["scanned"] == output["without_ttl"] == STATES
    assert (output["expired"], output["fixed"]) == (old, STATES - old)
    lives = lives_of(client)
    assert len(lives) == STATES - old
    assert all(1 <= seconds <= DAY for seconds in lives.values())
    assert not any(int(name.removeprefix(b"argus:regime:FOREIGN")) % 10 in (1, 2) for name in lives)

    again = json.loads(manage(environment, "backfill_regime_ttl", "--json").splitlines()[-1])
    assert (again["fixed"], again["expired"], again["already_ok"]) == (0, 0, STATES - old)


def lives_of(client: "Redis") -> dict[bytes, int]:
    names = list(client.scan_iter("argus:regime:*", count=1_000))
    pipeline = client.pipeline(transaction=False)
    for name in names:
        pipeline.ttl(name)
    return dict(zip(names, pipeline.execute(), strict=True))


def test_a_backfill_of_the_admin_outlives_the_web_worker(folder: Path) -> None:
    """Started in the admin, its worker is killed half way; the refresher finishes it."""
    with web(folder, workers=1, DJANGO_SUPERUSER_PASSWORD="operator") as running:
        running.manage("createsuperuser", "--noinput", "--username", "operator", "--email", "o@example.com")
        assert running.get("/readyz").status_code == 200
        client = Redis(unix_socket_path=str(EmbeddedServer(folder).socket_path))
        pipeline, now = client.pipeline(transaction=False), int(time.time())
        for number in range(4_000):
            pipeline.hset(f"argus:regime:S{number}", "computed_at", now)
        pipeline.execute()
        [worker] = running.workers()
        start_in_admin(running.port)
        eventually(lambda: without_ttl(client) < 4_000, pause_seconds=0.01)
        os.kill(worker, signal.SIGKILL)
        assert without_ttl(client) > 0, "it was over already"
        refresher = subprocess.Popen(
            [sys.executable, "manage.py", "refresh_regime_collection", "--watch", "1"],
            cwd=ROOT,
            env=running.environment,
            stdout=subprocess.DEVNULL,
        )
        try:
            eventually(lambda: without_ttl(client) == 0, 90)
            eventually(lambda: not client.exists("avo:{regime}:backfill-job", "avo:{regime}:backfill-lease"))
        finally:
            refresher.terminate()
            refresher.wait(timeout=20)


def start_in_admin(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", follow_redirects=True, timeout=30) as browser:
        token = {"csrfmiddlewaretoken": browser.get("/admin/login/").cookies["csrftoken"]}
        page = "/admin/regime/regimecache/"
        login = {"username": "operator", "password": "operator", "next": page}
        assert browser.post("/admin/login/", data=login | token).status_code == 200
        token = {"csrfmiddlewaretoken": browser.cookies["csrftoken"]}
        started = browser.post(f"{page}do/backfill/", data={"confirmed": "yes", "reason": "test"} | token)
        assert "Started" in started.text


def without_ttl(client: "Redis") -> int:
    names = list(client.scan_iter("argus:regime:*", count=5_000))
    pipeline = client.pipeline(transaction=False)
    for name in names:
        pipeline.ttl(name)
    return sum(seconds == -1 for seconds in pipeline.execute())
