"""A database that is locked, on a full disk or broken: a 503 soon, and nothing lost that was acknowledged."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.end_to_end.full_disk import filled, small_disk
from tests.end_to_end.system import data_folder
from tests.end_to_end.throttled_web import Web, web

SOON_SECONDS = 5
_TOUCH = {"inbox": "carla@example.com", "subject": "s", "body": "b"}
_UNSUBSCRIBE = "from outreach.services.suppression import unsubscribe_token; print(unsubscribe_token('{}'))"


@dataclass
class Customer:
    """Asks for what needs the database; ``acknowledged`` are the ids of touches that were taken."""

    running: Web
    key: str
    unsubscribe: str = ""
    acknowledged: list[str] = field(default_factory=list)
    number: int = 0

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        begun = time.monotonic()
        headers = options.pop("headers", {"Authorization": f"Token {self.key}"})
        answer = httpx.request(
            method, f"http://127.0.0.1:{self.running.port}{path}", headers=headers, timeout=60, **options
        )
        assert time.monotonic() - begun < SOON_SECONDS, (path, answer.status_code)
        if answer.status_code >= 400:
            assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "5"), (path, answer.text)
        return answer

    def post_touch(self) -> httpx.Response:
        self.number += 1
        touch = _TOUCH | {"recipient": f"r{self.number}@example.com", "idempotency_key": f"touch-{self.number}"}
        answer = self.send("POST", "/api/outreach/touches", json=touch)
        if answer.status_code == 202:
            self.acknowledged.append(answer.json()["id"])
        return answer

    def ask_for_everything(self) -> dict[str, int]:
        pages = {"admin": self.send("GET", "/admin/", headers={"Cookie": "sessionid=0123456789abcdef"})}
        answers = {
            "signals": self.send("GET", "/api/signals"),
            "touch": self.post_touch(),
            "unsubscribe": self.send("POST", f"/u/{self.unsubscribe}", headers={}),
            "macro": self.send("GET", "/api/macro", headers={}),
        }
        for answer in answers.values():
            assert answer.status_code != 503 or answer.headers["Content-Type"] == "application/problem+json"
        return {name: answer.status_code for name, answer in (answers | pages).items()}


@contextmanager
def customer(folder: Path) -> Iterator[Customer]:
    with web(folder, workers=1, DJANGO_SUPERUSER_PASSWORD="operator", THROTTLE_RATES="anonymous=1000/min") as running:
        running.manage("createsuperuser", "--noinput", "--username", "operator", "--email", "o@example.com")
        running.manage("set_inbox", "carla@example.com")
        key = running.manage("create_api_key", "operator", "--name", "test").split()[-1]
        asking = Customer(running, key)
        first = asking.post_touch().json()["id"]
        asking.unsubscribe = running.manage("shell", "--no-imports", "-c", _UNSUBSCRIBE.format(first)).split()[-1]
        yield asking


def test_a_locked_a_full_and_a_broken_database_are_503_soon_and_lose_nothing() -> None:
    with data_folder() as folder, small_disk(folder, "24m"):
        database = folder / "db.sqlite3"
        with customer(folder) as asking:
            with closing(sqlite3.connect(database, isolation_level=None)) as writer:
                writer.execute("BEGIN EXCLUSIVE")
                statuses = asking.ask_for_everything()
                assert statuses == {"signals": 200, "touch": 503, "unsubscribe": 503, "macro": 200, "admin": 302}
            assert asking.post_touch().status_code == 202

            with filled(folder):
                statuses = asking.ask_for_everything()
                refused = [asking.post_touch().status_code for _ in range(20)]
                assert 503 in refused, "the file still had room for all"
                assert set(refused) <= {202, 503}
            assert asking.post_touch().status_code == 202
            kept = {str(row) for row in touches(asking)}
            assert kept >= set(asking.acknowledged)

            content = database.read_bytes()
            for path in {database, *folder.glob("db.sqlite3-wal")}:
                with path.open("r+b") as file:  # SQLite maps db.sqlite3-shm: who truncates that ends its processes
                    file.write(b"this is no database" * 1000)
            statuses = asking.ask_for_everything()
            assert (statuses["touch"], statuses["unsubscribe"], statuses["admin"]) == (503, 503, 503)

        for path in folder.glob("db.sqlite3-*"):
            path.unlink()
        database.write_bytes(content)
        with web(folder, workers=1) as asking.running:
            assert asking.post_touch().status_code == 202
            assert asking.ask_for_everything()["unsubscribe"] == 200


def touches(asking: Customer) -> list[str]:
    shown = asking.running.manage(
        "shell", "--no-imports", "-c",
        "from outreach.models import Touch; print(*Touch.objects.values_list('pk', flat=True))",
    )  # fmt: skip
    return shown.split()
