"""Replies of the field by whose fault they are: first the rules alone, then a real server and a real worker."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from outreach.conf import OutreachConf
from outreach.domain.replies import ACTIONS, classify_reply, refusal
from outreach.domain.reply_rules import RULES, ReplyClass, Stage
from outreach.models import Attempt, Inbox, Suppression, Touch
from outreach.services.sender_pool import SenderPool
from outreach.services.senders.email import EmailSender
from tests.doubles import FixedClock
from tests.outreach.conftest import WorkerHarness
from tests.outreach.relay import Mail, relay_server

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class Shape:
    """One reply and its class. ``text`` is what smtplib gives: the lines without their codes."""

    stage: Stage
    reply: str
    reply_class: str
    is_about_touch: bool

    @property
    def code(self) -> int:
        return int(self.reply[:3])

    @property
    def text(self) -> str:
        return "\n".join(line[4:] for line in self.reply.split("\\n"))


def shapes(name: str) -> Iterator[Any]:
    with (DATA / name).open(encoding="utf-8", newline="") as source:
        for row in csv.DictReader(source, delimiter="\t", quoting=csv.QUOTE_NONE):
            shape = Shape(Stage(row["stage"]), row["reply"], row["class"], row.get("scope") == "touch")
            yield pytest.param(shape, id=f"{row['stage']} {row['reply']}"[:60])


@pytest.mark.parametrize(
    "shape", [one for name in ("smtp", "published", "unforeseen") for one in shapes(f"{name}_replies.tsv")]
)
def test_a_reply_has_its_class(shape: Shape) -> None:
    """The unforeseen ones were labelled by somebody who had not seen the rules."""
    assert classify_reply(shape.stage, shape.code, shape.text) == shape.reply_class


@pytest.mark.parametrize(
    "reply",
    [
        "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
        "553 Bulk mail is not accepted here",
        "551 we do not relay",
        "550 Your email account is disabled. Contact your provider",
        "550 Verification failed for <a@x.example>: no such user here",
        "550 5.1.1 your IP 192.0.2.1 is blacklisted",
        "550 Remitente desconocido",
        "550 Mailbox temporarily unavailable, try again later",
    ],
)
def test_what_is_not_said_of_the_recipient_suppresses_nobody(reply: str) -> None:
    text = reply[4:]
    assert refusal(Stage.RCPT, int(reply[:3]), text, text).kind != "suppress"


def test_every_rule_names_its_source_and_every_class_has_an_action() -> None:
    assert [rule for rule in RULES if not rule.source] == []
    assert set(ACTIONS) == {rule.reply_class for rule in RULES} == set(ReplyClass)


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("code", [400, 421, 499, 500, 550, 571, 599])
@pytest.mark.parametrize("text", ["", "ok", "5.1.1", "4.9.9 odd", "\0\r\n", "5.7.1\n5.1.1 user unknown"])
def test_any_reply_has_a_class_and_only_a_named_recipient_is_suppressed(stage: Stage, code: int, text: str) -> None:
    outcome = refusal(stage, code, text, text)
    if stage not in {Stage.RCPT, Stage.DATA, Stage.END, Stage.POST}:
        assert outcome.kind in {"retry", "hold", "pause", "give_up"}
        assert outcome.kind != "give_up" or stage in {Stage.MAIL, Stage.API}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("4.7.1 try again in 10 minutes", 600.0),
        ("4.2.0 Greylisted for 300 seconds", 300.0),
        ("please retry after 2 hours", 7200.0),
        ("wait 99999 hours", 86_400.0),
        ("again, but when?", None),
    ],
)
def test_a_time_that_the_server_names_is_kept(text: str, seconds: float | None) -> None:
    assert refusal(Stage.RCPT, 451, text, text).retry_after_seconds == seconds


FIRST = {
    ReplyClass.RECIPIENT_GONE: ("dead", 1),
    ReplyClass.MAILBOX_FULL: ("retrying", 1),
    ReplyClass.CONTENT: ("dead", 1),
    ReplyClass.RECIPIENT_POLICY: ("dead", 1),
    ReplyClass.SENDER_QUOTA: ("waiting", 0),
    ReplyClass.SENDER_REPUTATION: ("waiting", 0),
    ReplyClass.SERVER: ("retrying", 1),
    ReplyClass.GREYLIST: ("retrying", 1),
    ReplyClass.LOGIN: ("waiting", 0),
    ReplyClass.CONFIGURATION: ("waiting", 0),
}
"""The state of the touch after its first attempt, and the tries it has used."""

_PAUSES = {ReplyClass.SENDER_REPUTATION, ReplyClass.LOGIN, ReplyClass.CONFIGURATION}


@pytest.mark.django_db
@pytest.mark.parametrize("shape", [*shapes("smtp_replies.tsv")])
def test_a_reply_has_its_effect(
    inbox: Inbox,
    queue_up: Callable[..., list[Touch]],
    make_harness: Callable[..., WorkerHarness],
    settings: Any,
    clock: FixedClock,
    shape: Shape,
) -> None:
    """The first of two recipients gets the reply; the second only if it is not about one touch."""

    def script(stage: Stage, mail: Mail) -> str | None:
        is_meant = mail.recipient in {"", "r1@example.com"} or not shape.is_about_touch
        return shape.reply if stage is shape.stage and is_meant and refused else None

    refused = True
    settings.EMAIL_BACKEND, settings.EMAIL_HOST = "django.core.mail.backends.smtp.EmailBackend", "127.0.0.1"
    settings.EMAIL_USE_TLS = shape.stage is Stage.STARTTLS
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = "x" if shape.stage is Stage.AUTH else ""
    harness = make_harness()
    harness.pool = harness.worker._pool = SenderPool(1, {"email": lambda: EmailSender(OutreachConf())}, clock)
    queue_up(1)
    with relay_server(script) as relay:
        settings.EMAIL_PORT = relay.port
        harness.work()
        refused = shape.stage is not Stage.MAIL or not shape.is_about_touch
        queue_up(1, recipient="r2@example.com")
        harness.work()
        harness.pool.shutdown()
        harness.pool._threads[0].join(5)
    inbox.refresh_from_db()
    first, second = Touch.objects.order_by("recipient")
    expected = ReplyClass(shape.reply_class)
    assert (first.status, first.tries) == FIRST[expected]
    assert Attempt.objects.filter(touch=first).values_list("reply_class", flat=True)[0] == expected
    assert Suppression.objects.exists() == (expected is ReplyClass.RECIPIENT_GONE)
    assert inbox.paused == (expected in _PAUSES)
    assert (inbox.hold_reason in {"quota", "throttle"}) == (expected is ReplyClass.SENDER_QUOTA)
    if first.status == "retrying":
        assert first.due_at is not None
        assert first.due_at.timestamp() >= clock.now + 300
    if shape.is_about_touch:
        assert second.status == "sent"
    elif expected is not ReplyClass.SERVER:
        assert second.status in {"queued", "waiting"}
