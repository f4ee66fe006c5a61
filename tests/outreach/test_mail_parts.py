"""Mail as people send it: from the request to what Python's parser reads, and to a mail service's API."""

import email
import email.policy
import json
from collections.abc import Callable
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import pytest

from outreach.conf import OutreachConf
from outreach.domain.fields import TouchError
from outreach.domain.mail_parts import MailParts
from outreach.domain.reservation import Outcome, Outgoing, Reservation
from outreach.domain.touch import MAX_BODY_BYTES, draft_digest, parse_draft
from outreach.models import Inbox, Touch
from outreach.services.inboxes import change_inbox
from outreach.services.senders.email import EmailSender
from outreach.services.touch_operations import TouchOperations
from outreach.store.lanes import Lanes
from tests.doubles import FixedClock
from tests.outreach.conftest import WorkerHarness, touch_data
from tests.outreach.smtp_server import smtp_server
from tests.outreach.test_mime import check_lines

TOUCH_ID = "01a205d6-b677-7029-8876-1291c628e85a"
PARTS = {
    "display_name": 'Anna "Ann" Müller, Vertrieb',
    "reply_to": "replies@bücher.example",
    "html": "<p>Grüße</p>\u2028" + "<p>x</p>" * 500,
    "in_reply_to": TOUCH_ID,
    "references": ["<first@example.com>", f"<{'x' * 100}@example.com>"],
    "tags": ["spring", "b:2", "spring"],
}
STORED = {
    **PARTS,
    "reply_to": "replies@xn--bcher-kva.example",
    "in_reply_to": f"<{TOUCH_ID}@example.com>",
    "tags": ["spring", "b:2"],
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("display_name", "Anna\r\nBcc: b@example.com"),
        ("display_name", "x" * 101),
        ("display_name", 7),
        ("reply_to", "nobody"),
        ("reply_to", "a@example.com, b@example.com"),
        ("reply_to", "a@example.com\nBcc: b@example.com"),
        ("html", 7),
        ("html", "a\0b"),
        ("html", "\ud800"),
        ("html", "x" * MAX_BODY_BYTES),
        ("in_reply_to", "a@example.com"),
        ("in_reply_to", "<a@example.com> <b@example.com>"),
        ("in_reply_to", "<a@example.com>\r\nBcc: b@example.com"),
        ("in_reply_to", f"<{'x' * 250}@example.com>"),
        ("in_reply_to", "<ü@example.com>"),
        ("in_reply_to", 7),
        ("in_reply_to", False),
        ("references", [""]),
        ("references", [None]),
        ("references", "<a@example.com>"),
        ("references", ["<a@example.com>"] * 51),
        ("references", [7]),
        ("tags", "spring"),
        ("tags", ["a,b"]),
        ("tags", ["a b"]),
        ("tags", [""]),
        ("tags", ["x" * 65]),
        ("tags", ["a\n"]),
        ("tags", [["a"]]),
        ("tags", [f"t{number}" for number in range(11)]),
    ],
)
def test_a_bad_part_is_named(field: str, value: object) -> None:
    with pytest.raises(TouchError) as caught:
        parse_draft(touch_data(1, **{field: value}))
    assert caught.value.field == field


def test_parts_may_be_left_out_or_null() -> None:
    assert parse_draft(touch_data(1, **dict.fromkeys(PARTS))).mail == MailParts()
    assert parse_draft(touch_data(1, display_name=" ", reply_to="", html=" \n", in_reply_to="")).mail == MailParts()


def test_a_touch_without_parts_keeps_the_digest_of_earlier_versions() -> None:
    plain = parse_draft(touch_data(1))
    assert draft_digest(plain, 1) == "c3a44f62735be16c7fef1cd723107ce94170a4cd66cf2c6c48c21105054d9564"
    assert draft_digest(replace(plain, mail=MailParts(tags=("a",))), 1) != draft_digest(plain, 1)


@pytest.mark.django_db
def test_parts_go_from_the_request_to_the_sender(
    inbox: Inbox, queue_up: Callable[..., list[Touch]], harness: WorkerHarness
) -> None:
    [touch] = queue_up(1, **PARTS)
    assert touch.mail == STORED
    harness.work()
    [sent] = harness.sender.sent
    assert sent.mail == MailParts.from_json(STORED)


@pytest.mark.django_db
def test_an_inbox_names_its_sender_unless_the_touch_does(
    inbox: Inbox, queue_up: Callable[..., list[Touch]], harness: WorkerHarness
) -> None:
    change_inbox(inbox.address, {"display_name": "Anna", "reply_to": "Anna@STRASSE.example"})
    queue_up(1)
    queue_up(1, display_name="Bert")
    harness.work()
    names = [(sent.mail.display_name, sent.mail.reply_to) for sent in harness.sender.sent]
    assert sorted(names) == [("Anna", "Anna@strasse.example"), ("Bert", "Anna@strasse.example")]


@pytest.mark.django_db
def test_another_channel_takes_tags_alone(inbox: Inbox, queue_up: Callable[..., list[Touch]]) -> None:
    change_inbox("@avo", {"channel": "dm", "url": "https://hooks.example.com/"})
    [touch] = queue_up(1, inbox="@avo", tags=["a"])
    assert touch.mail == {"tags": ["a"]}
    for name in PARTS.keys() - {"tags"}:
        with pytest.raises(TouchError, match=f"{name}: is not possible on the channel dm"):
            queue_up(1, inbox="@avo", **{name: PARTS[name]})


@pytest.mark.django_db
def test_a_forgotten_recipient_leaves_no_part(
    inbox: Inbox, queue_up: Callable[..., list[Touch]], lanes: Lanes, clock: FixedClock
) -> None:
    [touch] = queue_up(1, **PARTS)
    TouchOperations(lanes, clock).forget(touch.recipient)
    touch.refresh_from_db()
    assert touch.mail is None


def outgoing(**changes: Any) -> Outgoing:
    mail = MailParts.from_json({**STORED, **changes})
    return Outgoing(
        Reservation(TOUCH_ID, 1, 5), "email", "anna@example.com", "", "r@example.com", "Hi", "Hello", 1, 0.0, {}, mail
    )


def delivered(settings: Any, touch: Outgoing, **conf: Any) -> tuple[EmailMessage, str]:
    """The mail as a real server got it, and the sender of its envelope."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    with smtp_server() as (script, settings.EMAIL_PORT):
        sender = EmailSender(OutreachConf(**conf))
        assert sender.send(touch) == Outcome("sent")
        sender.close()
    check_lines(script.mails[0])
    made: Any = email.message_from_bytes(script.mails[0], policy=email.policy.default)
    return made, script.senders[0]


def test_a_server_gets_the_whole_mail(settings: Any) -> None:
    mail, sender = delivered(settings, outgoing(), tag_header="X-Tag")
    assert sender == "anna@example.com"
    [author] = mail["From"].addresses
    assert (author.display_name, author.addr_spec) == (PARTS["display_name"], "anna@example.com")
    assert mail["Reply-To"] == "replies@xn--bcher-kva.example"
    assert mail["In-Reply-To"] == f"<{TOUCH_ID}@example.com>"
    assert mail["References"].split() == [*STORED["references"], STORED["in_reply_to"]]
    assert mail.get_all("X-Tag") == ["spring", "b:2"]
    assert mail.get_content_type() == "multipart/alternative"
    text, html = mail.iter_parts()
    assert (text.get_content_type(), text.get_content().strip()) == ("text/plain", "Hello")
    assert (html.get_content_type(), html.get_content().strip()) == ("text/html", PARTS["html"])
    assert not [*mail.defects, *text.defects, *html.defects]


@pytest.mark.parametrize("name", ["x" * 100, "ж" * 100, "a, b <c@example.org>", 'a "b" \\', "=?utf-8?q?a?=", "@;:()"])
def test_the_envelope_has_the_address_whatever_the_name(settings: Any, name: str) -> None:
    mail, sender = delivered(settings, outgoing(display_name=name))
    assert sender == "anna@example.com"
    assert mail["From"].addresses[0].addr_spec == "anna@example.com"


def test_without_a_tag_header_tags_stay_here(settings: Any) -> None:
    mail, _ = delivered(settings, outgoing(html=""))
    assert "spring" not in str(mail.items())
    assert mail.get_content_type() == "text/plain"


def test_the_request_is_documented(client: Any) -> None:
    schema = json.loads(client.get("/api/schema?format=json").content)
    properties = schema["components"]["schemas"]["TouchRequest"]["properties"]
    assert PARTS.keys() <= properties.keys()
    assert properties["tags"]["maxItems"] == 10
    assert all(properties[name].get("description") for name in PARTS)
