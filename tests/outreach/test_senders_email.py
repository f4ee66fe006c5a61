"""The e-mail sender against a real SMTP server with every kind of failure."""

import email
import email.policy
import smtplib
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from outreach.conf import OutreachConf
from outreach.domain.reservation import Outcome, Outgoing, Reservation
from outreach.services.senders.delivery_errors import classify
from outreach.services.senders.email import EmailSender
from tests.outreach.smtp_server import free_port, smtp_server
from tests.outreach.test_mime import BODIES, check_lines, unfolded

TOUCH = Outgoing(
    Reservation("01a205d6-b677-7029-8876-1291c628e85a", 1, 5),
    "email", "anna@example.com", "", "r@example.com", "Grüße", "Hello\n.\nfrom a line with a dot", 1, 0.0,
)  # fmt: skip


@pytest.fixture
def sender(settings: Any) -> Iterator[EmailSender]:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    made = EmailSender(OutreachConf(smtp_timeout_seconds=0.5, public_url="https://avo.example/"))
    yield made
    made.close()


def test_a_mail_carries_what_it_needs(sender: EmailSender, settings: Any) -> None:
    with smtp_server() as (script, settings.EMAIL_PORT):
        assert sender.send(TOUCH) == Outcome("sent")
        sender.close()
    [content] = script.mails
    mail = email.message_from_bytes(content, policy=email.policy.default)
    assert mail["Message-ID"] == f"<{TOUCH.touch_id}@example.com>"
    assert (mail["From"], mail["To"], mail["Subject"]) == ("anna@example.com", "r@example.com", "Grüße")
    assert mail["List-Unsubscribe"].startswith("<https://avo.example/u/01a205d6b67770298876")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail.get_content().replace("\r\n", "\n").rstrip("\n") == TOUCH.body
    assert script.recipients == ["r@example.com"]


LONG_SUBJECT = "Приглашение " * 20 + "!"


@pytest.mark.parametrize("body", BODIES)
def test_a_server_without_8bitmime_gets_lines_that_it_can_take(sender: EmailSender, settings: Any, body: str) -> None:
    """The server refuses a line of more than 998 octets, as RFC 5321, 4.5.3.1.6 allows."""
    with smtp_server() as (script, settings.EMAIL_PORT):
        script.extensions = ()
        assert sender.send(replace(TOUCH, body=body, subject=LONG_SUBJECT)) == Outcome("sent")
        sender.close()
    [content] = script.mails
    check_lines(content)
    mail = email.message_from_bytes(content, policy=email.policy.default)
    assert mail["Subject"] == LONG_SUBJECT
    assert unfolded(mail.get_content()).rstrip("\n") == unfolded(body).rstrip("\n")


def test_the_same_touch_has_the_same_message_id(sender: EmailSender, settings: Any) -> None:
    with smtp_server() as (script, settings.EMAIL_PORT):
        for number in (1, 2, 3):
            assert sender.send(replace(TOUCH, tries=number)).kind == "sent"
        sender.close()
    assert len({email.message_from_bytes(content)["Message-ID"] for content in script.mails}) == 1
    assert script.sessions == 1  # and one connection carried all three


@pytest.mark.parametrize(
    ("answers", "kind", "code"),
    [
        ({"RCPT": "450 4.2.0 greylisted"}, "retry", 450),
        ({"RCPT": "421 4.3.2 shutting down"}, "retry", 421),
        ({"MAIL": "421 4.3.2 shutting down"}, "retry", 421),
        ({"CONTENT": "451 4.3.0 try again"}, "retry", 451),
        ({"RCPT": "550 5.1.1 no such user"}, "suppress", 550),
        ({"RCPT": "550 5.7.1 blocked"}, "pause", 550),
        ({"MAIL": "550 5.7.1 blocked"}, "pause", 550),
        ({"CONTENT": "550 5.7.1 spam"}, "give_up", 550),
        ({"MAIL": "553 5.1.8 sender unknown"}, "pause", 553),
        ({"CONTENT": "554 5.6.0 bad content"}, "give_up", 554),
        ({"MAIL": "drop"}, "retry", 0),
        ({"RCPT": "drop"}, "retry", 0),
        ({"DATA": "drop"}, "retry", 0),
        ({"DATA": "451 4.3.0 not now"}, "retry", 451),
        ({"CONTENT": "drop"}, "unknown", 0),
        ({"RCPT": "hang"}, "retry", 0),
        ({"CONTENT": "hang"}, "unknown", 0),
        ({"MAIL": "nonsense"}, "retry", 0),
        ({"RCPT": "nonsense"}, "retry", 0),
        ({"RCPT": "354 go on"}, "retry", 0),
        ({"DATA": "nonsense"}, "retry", 0),
        ({"CONTENT": "nonsense"}, "unknown", 0),
        ({"CONTENT": "299 taken, or not"}, "unknown", 0),
        ({"RCPT": "550 5.1.1 see http://x.org/5.7.26 help"}, "suppress", 550),
        ({"RCPT": "550-5.1.1 no such user, see\r\n550 5.7.26 of our help"}, "suppress", 550),
        ({"RCPT": "550-Unauthenticated mail is not taken.\r\n550 5.7.26 see our help"}, "pause", 550),
    ],
)
def test_each_failure_has_its_outcome(
    sender: EmailSender, settings: Any, answers: dict[str, str], kind: str, code: int
) -> None:
    with smtp_server(**answers) as (_, settings.EMAIL_PORT):
        outcome = sender.send(TOUCH)
    assert (outcome.kind, outcome.code) == (kind, code), outcome


@pytest.mark.parametrize(
    ("command", "kind"), [("MAIL", "retry"), ("RCPT", "retry"), ("DATA", "retry"), ("CONTENT", "unknown")]
)
def test_a_server_whose_reply_drips_holds_nobody(sender: EmailSender, settings: Any, command: str, kind: str) -> None:
    with smtp_server(**{command: "drip"}) as (_, settings.EMAIL_PORT):
        assert sender.send(TOUCH).kind == kind


def test_a_server_that_is_not_there_is_tried_again(sender: EmailSender, settings: Any) -> None:
    settings.EMAIL_PORT = free_port()
    outcome = sender.send(TOUCH)
    assert (outcome.kind, outcome.is_inbox_failure) == ("retry", True)


def test_a_connection_that_the_server_closed_meanwhile_is_opened_again(sender: EmailSender, settings: Any) -> None:
    with smtp_server() as (script, settings.EMAIL_PORT):
        assert sender.send(TOUCH).kind == "sent"
        script.answers["MAIL"] = "drop"

        class DropOnce(dict[str, str]):
            def get(self, name: str, default: Any = None) -> Any:
                return self.pop(name, default)

        script.answers = DropOnce(script.answers)
        assert sender.send(TOUCH).kind == "sent"
        sender.close()
    assert (script.sessions, len(script.mails)) == (2, 2)


def test_after_a_failure_the_next_mail_starts_clean(sender: EmailSender, settings: Any) -> None:
    with smtp_server(CONTENT="drop") as (script, settings.EMAIL_PORT):
        assert sender.send(TOUCH).kind == "unknown"
        script.answers = {"RCPT": "drop"}
        assert sender.send(TOUCH).kind == "retry"
        script.answers = {}
        assert sender.send(TOUCH).kind == "sent"
        sender.close()


def test_without_a_mail_server_mails_are_files(settings: Any, tmp_path: Path) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path)
    sender = EmailSender(OutreachConf())
    assert sender.send(TOUCH).kind == "sent"
    sender.close()
    [written] = tmp_path.iterdir()
    assert TOUCH.touch_id in written.read_text()


def test_another_backends_failure_may_have_left(settings: Any) -> None:
    settings.EMAIL_BACKEND = "tests.outreach.test_senders_email.BrokenBackend"
    assert EmailSender(OutreachConf()).send(TOUCH).kind == "unknown"


class BrokenBackend:
    """A third-party mail service that is unavailable."""

    def __init__(self, **options: Any) -> None: ...

    def open(self) -> bool:
        return True

    def close(self) -> None: ...

    def send_messages(self, messages: Any) -> int:
        raise TimeoutError("no answer")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (smtplib.SMTPAuthenticationError(535, b"5.7.8 bad credentials"), "pause"),
        (smtplib.SMTPAuthenticationError(454, b"4.7.0 temporary"), "retry"),
        (smtplib.SMTPAuthenticationError(-1, b"nonsense"), "retry"),
        (smtplib.SMTPConnectError(421, "too many connections"), "hold"),
        (smtplib.SMTPConnectError(-1, "garbage"), "retry"),
        (smtplib.SMTPConnectError(554, "no SMTP service here"), "pause"),
        (smtplib.SMTPHeloError(501, b"bad name"), "pause"),
        (smtplib.SMTPException("No suitable authentication method found."), "pause"),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), "pause"),
        (smtplib.SMTPResponseException(454, b"TLS not available"), "retry"),
        (smtplib.SMTPNotSupportedError("no STARTTLS"), "pause"),
        (smtplib.SMTPSenderRefused(550, b"5.1.0 who?", "anna@example.com"), "pause"),
        (smtplib.SMTPRecipientsRefused({"r@example.com": (552, b"5.2.2 full")}), "retry"),
    ],
)
def test_errors_before_the_envelope(error: Exception, kind: str) -> None:
    assert classify(error, content_sent=False).kind == kind
