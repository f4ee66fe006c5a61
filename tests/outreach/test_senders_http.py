"""The HTTP sender against a real server in a thread."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest.mock import Mock

import httpx
import pytest
from django.conf import settings

from outreach.conf import OutreachConf
from outreach.domain.endpoint import Endpoint
from outreach.domain.replies import retry_after_seconds
from outreach.domain.reservation import Outgoing, Reservation
from outreach.services.senders import http
from outreach.services.senders.http import HttpSender, classify
from tests.avo_project.slow_server import PIECES, slow_server
from tests.outreach.test_endpoint import each_case


class Receiver(BaseHTTPRequestHandler):
    """Answers with the server's ``status``, closes the connection, or does not answer."""

    server: Any
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, dict(self.headers), json.loads(body)))
        if self.server.status == "drop":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        if self.server.status == "hang":
            self.server.released.wait(5)
            return
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Any]:
    receiver: Any = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    receiver.requests, receiver.status, receiver.headers, receiver.released = [], 200, {}, threading.Event()
    thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield receiver
    receiver.released.set()
    receiver.shutdown()
    thread.join()
    receiver.server_close()


@pytest.fixture
def sender() -> Iterator[HttpSender]:
    made = HttpSender(OutreachConf(allow_private_hosts=True, http_timeout_seconds=0.5))
    yield made
    made.close()


def touch(url: str) -> Outgoing:
    held = Reservation("01a205d6-b677-7029-8876-1291c628e85a", 1, 5)
    return Outgoing(held, "dm", "@avo", url, "@reader", "Hi", "Hello", 1, 0.0, {"a": 1})


def url_of(server: Any) -> str:
    return f"http://127.0.0.1:{server.server_port}/hook?x=1"


def test_a_touch_is_posted_as_json_under_its_id(server: Any, sender: HttpSender) -> None:
    outcome = sender.send(touch(url_of(server)))
    assert (outcome.kind, outcome.code) == ("sent", 200)
    [(path, headers, body)] = server.requests
    assert path == "/hook?x=1"
    assert headers["Idempotency-Key"] == "01a205d6-b677-7029-8876-1291c628e85a"
    assert headers["Content-Type"] == "application/json"
    assert body == {
        "id": "01a205d6-b677-7029-8876-1291c628e85a", "channel": "dm", "from": "@avo", "recipient": "@reader",
        "subject": "Hi", "body": "Hello", "metadata": {"a": 1}, "tags": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "kind"),
    [(201, "sent"), (429, "hold"), (503, "retry"), (500, "retry"), (408, "retry"), (409, "retry"), (425, "retry"),
     (401, "pause"), (402, "pause"), (403, "pause"), (404, "pause"), (405, "pause"), (407, "pause"), (415, "pause"),
     (421, "pause"), (301, "pause"), (302, "pause"), (307, "pause"), (410, "suppress"), (400, "give_up"),
     (413, "give_up"), (422, "give_up"), ("drop", "unknown"), ("hang", "unknown")],
)  # fmt: skip
def test_each_answer_has_its_outcome(server: Any, sender: HttpSender, status: int | str, kind: str) -> None:
    server.status = status
    assert sender.send(touch(url_of(server))).kind == kind
    assert len(server.requests) == 1


@pytest.mark.parametrize("what", PIECES)
def test_a_receiver_that_drips_holds_nobody(sender: HttpSender, what: str) -> None:
    """The body is ignored; only the status counts."""
    with slow_server(PIECES[what]()) as url:
        assert sender.send(touch(url)).kind == ("sent" if "body" in what or "chunks" in what else "unknown")


def test_a_redirect_is_not_followed(server: Any, sender: HttpSender) -> None:
    server.status, server.headers = 307, {"Location": url_of(server)}
    assert sender.send(touch(url_of(server))).kind == "pause"
    assert len(server.requests) == 1


def test_nobody_listening_is_tried_again(sender: HttpSender) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        outcome = sender.send(touch(f"http://127.0.0.1:{probe.getsockname()[1]}/"))
    assert (outcome.kind, outcome.is_inbox_failure) == ("retry", True)


@pytest.mark.parametrize(("status", "hold"), [(429, "throttle"), (503, "server")])
def test_a_busy_server_says_when_to_come_back(server: Any, sender: HttpSender, status: int, hold: str) -> None:
    server.status, server.headers = status, {"Retry-After": "120"}
    outcome = sender.send(touch(url_of(server)))
    assert (outcome.kind, outcome.hold, outcome.retry_after_seconds) == ("hold", hold, 120)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("Mon, 21 Sep 2026 14:14:20 GMT", 60.0),
        ("Mon, 21 Sep 2020 14:14:20 GMT", 0.0),
        ("9" * 400, 86_400.0),
        ("soon", None),
        ("", None),
        ("-5", None),
        ("1e3", None),
        ("Mon, 21 Sep 99999999999 14:14:20 GMT", None),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after_seconds(value, 1_790_000_000) == seconds


def test_an_odd_answer_is_no_crash() -> None:
    assert classify(httpx.Response(599), 0).kind == "retry"


@each_case
def test_a_forbidden_endpoint_pauses_the_inbox(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that was stored before it was forbidden. Nothing is resolved or sent, and nothing becomes unknown."""
    lookup = Mock(side_effect=OSError("no such name"))
    monkeypatch.setattr(http.socket, "getaddrinfo", lookup)
    sender = HttpSender(OutreachConf())
    outcome = sender.send(touch(case["url"]))
    assert outcome.kind == ("pause" if "error" in case else "retry")
    assert lookup.called is ("error" not in case)
    sender.close()


@pytest.mark.parametrize(
    ("addresses", "kind"),
    [(["10.0.0.1"], "pause"), (["8.8.8.8", "127.0.0.1"], "pause"), (["::1"], "pause"), (["64:ff9b:1::7f00:1"], "pause"),
     (["fec0::1"], "pause"), (["fe80::1%eth0"], "pause")],
)  # fmt: skip
def test_a_name_must_lead_to_public_addresses_only(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str], kind: str
) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]
    monkeypatch.setattr(http.socket, "getaddrinfo", lambda *host, **options: found)
    sender = HttpSender(OutreachConf())
    outcome = sender.send(touch("https://hooks.example.com/"))
    assert (outcome.kind, outcome.detail) == (kind, "the URL's host has an address that is not public")
    sender.close()


def test_the_checked_address_is_the_one_connected_to(server: Any, monkeypatch: Any) -> None:
    """A name that resolves to a public address first and to a private one later is resolved only once."""
    lookups: list[str] = []

    def lookup(host: str, port: int, *kinds: Any, **options: Any) -> Any:
        lookups.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(http.socket, "getaddrinfo", lookup)
    monkeypatch.setattr(http, "is_global_unicast", lambda address: True)
    monkeypatch.setattr(http, "check_url", lambda url, **options: Endpoint("hook.example", server.server_port))
    sender = HttpSender(OutreachConf(http_timeout_seconds=2))
    assert sender.send(touch(f"http://hook.example:{server.server_port}/in")).kind == "sent"
    assert server.requests[0][1]["Host"] == f"hook.example:{server.server_port}"
    assert lookups.count("hook.example") == 1
    sender.close()


EFFECTS = {
    "sent": "sent", "dead": "give_up", "suppressed": "suppress", "retried": "retry", "held": "hold", "paused": "pause"
}  # fmt: skip


def documented_effects() -> dict[int, str]:
    """The outcome of each status in the table of docs/operations.md; a class such as 3xx stands for its other ones."""
    page = (settings.BASE_DIR / "docs/operations.md").read_text("utf-8")
    section = page.partition("## Direct messages and retargeting")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]*\d[^|]*) \| (\w+) \|", section, re.MULTILINE)
    found: dict[int, str] = {}
    for statuses, effect in rows:
        found |= {int(code): EFFECTS[effect] for code in re.findall(r"\b\d{3}\b", statuses)}
    for statuses, effect in rows:
        for hundred in re.findall(r"(\d)xx", statuses):
            found |= {
                code: EFFECTS[effect]
                for code in range(100 * int(hundred), 100 * int(hundred) + 100)
                if code not in found
            }
    return found


def test_each_status_has_the_documented_effect() -> None:
    effects = documented_effects()
    assert effects.keys() == set(range(200, 600))
    assert {code: classify(httpx.Response(code), 0.0).kind for code in effects} == effects
