"""Mail through a service's HTTP API with django-anymail: its own backends and errors against a local server."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from anymail.exceptions import AnymailInvalidAddress, AnymailRecipientsRefused

from outreach.conf import OutreachConf
from outreach.domain.mail_parts import MailParts
from outreach.domain.reservation import Outcome, Outgoing, Reservation
from outreach.services.senders.delivery_errors import classify_esp, is_esp_error
from outreach.services.senders.email import EmailSender
from tests.outreach.smtp_server import free_port

TOUCH_ID = "0192aaaa-0000-7000-8000-000000000001"
TOUCH = Outgoing(Reservation(TOUCH_ID, 1, 5), "email", "a@example.com", "", "r@example.com", "Hi", "Hello", 1, 0.0)
TAKEN = b'{"ErrorCode": 0, "Message": "OK", "MessageID": "m1", "To": "r@example.com", "SubmittedAt": "now"}'


@dataclass
class Service:
    """Returns the same answer to every call; ``status`` 0 closes the connection."""

    url: str = ""
    status: int = 200
    body: bytes = TAKEN
    headers: dict[str, str] = field(default_factory=dict)
    calls: list[bytes] = field(default_factory=list)


@pytest.fixture
def service(settings: Any) -> Iterator[Service]:
    made = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.calls.append(self.rfile.read(int(self.headers["Content-Length"])))
            if not made.status:
                return
            self.send_response(made.status)
            for name, value in {**made.headers, "Content-Length": str(len(made.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(made.body)

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    settings.EMAIL_BACKEND = "anymail.backends.postmark.EmailBackend"
    settings.ANYMAIL = {"POSTMARK_SERVER_TOKEN": "t", "POSTMARK_API_URL": made.url}
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


def send(touch: Outgoing = TOUCH) -> Outcome:
    sender = EmailSender(OutreachConf())
    try:
        return sender.send(touch)
    finally:
        sender.close()


def test_a_mail_that_the_service_takes_is_sent(service: Service) -> None:
    assert send().kind == "sent"
    assert TOUCH_ID.encode() in service.calls[0]


def test_a_service_gets_every_part_of_a_mail(service: Service) -> None:
    parts = MailParts('Müller, "Ann"', "b@example.com", "<b>Hi</b>", "<2@x.org>", ("<1@x.org>",), ("spring",))
    assert send(replace(TOUCH, mail=parts)).kind == "sent"
    call = json.loads(service.calls[0])
    assert call["From"] == '"Müller, \\"Ann\\"" <a@example.com>'
    assert (call["ReplyTo"], call["HtmlBody"], call["TextBody"]) == ("b@example.com", "<b>Hi</b>", "Hello")
    headers = {one["Name"]: one["Value"] for one in call["Headers"]}
    assert (headers["In-Reply-To"], headers["References"]) == ("<2@x.org>", "<1@x.org> <2@x.org>")
    assert call["Tag"] == "spring"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, "hold"),
        (500, "hold"),
        (503, "hold"),
        (401, "pause"),
        (402, "pause"),
        (403, "pause"),
        (404, "pause"),
        (410, "pause"),
        (400, "give_up"),
        (413, "give_up"),
    ],
)
def test_an_answer_is_classified_by_its_status(service: Service, status: int, kind: str) -> None:
    service.status, service.headers = status, {"Retry-After": "120"}
    outcome = send()
    assert (outcome.kind, outcome.code) == (kind, status)
    assert outcome.retry_after_seconds == 120.0
    assert "r@example.com" not in outcome.detail


def test_a_refused_recipient_is_suppressed(service: Service) -> None:
    service.status = 422
    service.body = (
        b'{"ErrorCode": 406, "Message": "You tried to send to recipient(s) that have been marked as inactive. '
        b'Found inactive addresses: r@example.com. Inactive recipients are ones that have generated a hard bounce."}'
    )
    assert send().kind == "suppress"
    assert classify_esp(AnymailRecipientsRefused(), 0).kind == "suppress"


def test_a_mail_whose_answer_was_lost_may_have_left(service: Service) -> None:
    service.status = 0
    assert send().kind == "unknown"
    assert len(service.calls) == 1


def test_a_service_that_cannot_be_reached_got_nothing(service: Service, settings: Any) -> None:
    settings.ANYMAIL = {"POSTMARK_SERVER_TOKEN": "t", "POSTMARK_API_URL": f"http://127.0.0.1:{free_port()}/"}
    outcome = send()
    assert (outcome.kind, outcome.is_inbox_failure) == ("retry", True)


def test_a_service_that_is_not_set_up_pauses_the_inbox(service: Service, settings: Any) -> None:
    settings.ANYMAIL = {}
    assert send().kind == "pause"


def test_other_errors() -> None:
    assert classify_esp(AnymailInvalidAddress("no address"), 0).kind == "give_up"
    assert not is_esp_error(ValueError("plain"))
