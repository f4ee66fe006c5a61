"""States by plain HSET without expiry, from a program that knows no more than the protocol: one backfill mends all."""

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from avo_project.embedded_redis import EmbeddedServer
from tests.end_to_end.system import data_folder, environment_for, manage

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

    told = json.loads(manage(environment, "backfill_regime_ttl", "--json").splitlines()[-1])
    old = sum(number % 10 in (1, 2) for number in range(STATES))
    assert told["scanned"] == told["without_ttl"] == STATES
    assert (told["expired"], told["fixed"]) == (old, STATES - old)
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
