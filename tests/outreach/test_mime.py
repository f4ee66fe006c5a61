"""Mail as it is written, read back by Python's parser."""

import email
import email.policy
import json
import re
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outreach.conf import OutreachConf
from outreach.domain.fields import TouchError, header_text
from outreach.domain.mime import encoded_body, list_header, mailbox_header, text_header
from outreach.domain.reservation import Outgoing, Reservation
from outreach.domain.touch import MAX_SUBJECT_CHARACTERS
from outreach.services.senders.message import TouchMail

TEXTS = json.loads(Path(__file__).with_name("data").joinpath("mail_texts.json").read_text("utf-8"))
LONG = ("{}" * 400, "x" * 998, "x" * 999, "é" * 998, "Ж" * 998, "a b" * 300, "x" * 990 + " " + "y" * 990)
BODIES = [text["body"] for text in TEXTS] + [
    joint.join(["word " * 60] * 10) for joint in ("\v", "\f", "\x85", "\u2028", "\r", "\n", "")
]
characters = st.characters(exclude_categories=("Cs",), exclude_characters="\0")


def reread(content: bytes) -> EmailMessage:
    return email.message_from_bytes(content, policy=email.policy.default)  # type: ignore[return-value]


def field_of(name: str, value: str) -> Any:
    """The field as a reader sees it, after the checks of its lines."""
    check_lines(f"{name}: {value}\n".encode("ascii"))
    return reread(f"{name}: {value}\n\n".encode("ascii"))[name]


def check_lines(content: bytes) -> None:
    for line in re.split(rb"\r?\n", content):
        assert len(line) <= 998
        assert not re.search(rb"[\r\v\f\x80-\xff]", line)
        assert b"=?utf-8?" not in line or len(line) <= 76


def unfolded(text: str) -> str:
    return re.sub("\r\n|\r", "\n", text)


def subject_of(text: str) -> str | None:
    """The text as intake takes it; None when it does not."""
    try:
        return header_text({"subject": text}, "subject", MAX_SUBJECT_CHARACTERS, default="")
    except TouchError:
        return None


@pytest.mark.parametrize("text", [*(one["subject"] for one in TEXTS), *(one[:998] for one in LONG)])
def test_a_subject_is_read_as_it_was_written(text: str) -> None:
    written = text_header("Subject", text.strip())
    assert field_of("Subject", written) == text.strip()
    assert all(len(line) <= 78 for line in f"Subject: {written}".split("\n"))
    assert not any(line.isspace() for line in written.split("\n"))


@given(st.text(characters, max_size=300) | st.text("=?Q_ utf-8 ü", max_size=200))
def test_every_subject_is_read_as_it_was_written(text: str) -> None:
    subject = subject_of(text)
    if subject is not None:
        assert field_of("Subject", text_header("Subject", subject)) == subject


@given(st.text(characters, min_size=1, max_size=100) | st.text('ab"\\,.<>@()=?ü ', min_size=1, max_size=100))
def test_every_display_name_is_read_as_it_was_written(text: str) -> None:
    name = subject_of(text)
    if name:
        written = mailbox_header("From", name, "anna@example.com")
        assert field_of("From", written).addresses[0].addr_spec == "anna@example.com"
        # its display_name keeps the blank between encoded words, against RFC 2047, 6.2, in Python before 3.14
        phrase, _ = parseaddr(written.replace("\n", ""))
        assert str(make_header(decode_header(phrase))) == name


def test_a_long_address_stands_on_a_line_of_its_own() -> None:
    address = "x" * 64 + "@" + "y" * 60 + ".example"
    written = mailbox_header("From", "Anna of the sales department", address)
    assert written == f"Anna of the sales department\n <{address}>"
    assert field_of("From", written).addresses[0].addr_spec == address


def test_message_ids_are_folded_between_each_other() -> None:
    ids = [f"<{number}.{'x' * 30}@example.com>" for number in range(20)]
    written = list_header("References", ids)
    assert field_of("References", written).split() == ids
    assert max(map(len, f"References: {written}".split("\n"))) <= 78


@pytest.mark.parametrize("text", [*BODIES, *LONG])
def test_a_body_is_read_as_it_was_written(text: str) -> None:
    check_body(text)


@given(st.text(characters) | st.text("ab=. \t\n\r\v\f\x85\u2028ü"))
def test_every_body_is_read_as_it_was_written(text: str) -> None:
    check_body(text)


def check_body(text: str) -> None:
    encoding, payload = encoded_body(text)
    check_lines(payload.encode("ascii"))
    if encoding != "7bit":
        assert max(map(len, payload.split("\n"))) <= 76
    head = f'Content-Type: text/plain; charset="utf-8"\nContent-Transfer-Encoding: {encoding}\n\n'
    assert unfolded(reread((head + payload).encode("ascii")).get_content()) == unfolded(text)


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: str(text["subject"])[:20])
def test_a_whole_mail_is_read_as_it_was_written(text: dict[str, str]) -> None:
    touch = Outgoing(
        Reservation("01a205d6-b677-7029-8876-1291c628e85a", 1, 5),
        "email", "anna@example.com", "", "r@example.com", text["subject"], text["body"], 1, 1_790_000_000.0,
    )  # fmt: skip
    content = TouchMail(touch, OutreachConf()).message().as_bytes(linesep="\r\n")
    check_lines(content)
    assert b"\n" not in content.replace(b"\r\n", b"")
    mail = reread(content)
    assert mail["Subject"] == text["subject"]
    assert unfolded(mail.get_content()).rstrip("\n") == unfolded(text["body"]).rstrip("\n")
    assert mail["Date"].datetime.timestamp() == touch.started_at
    assert not mail.defects
