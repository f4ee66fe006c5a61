import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.utils.module_loading import import_string
from hypothesis import given
from hypothesis import strategies as st

from outreach.domain.channels import CHANNELS, Channel, check_recipient
from outreach.domain.fields import TouchError, email_address
from outreach.domain.touch import (
    MAX_BODY_BYTES,
    MAX_METADATA_DEPTH,
    idna_2003_key,
    new_touch_id,
    parse_draft,
    recipient_key,
)


def nested(depth: int) -> dict[str, Any]:
    """Metadata nested ``depth`` levels deep."""
    inner: Any = {}
    for level in range(depth - 1):
        inner = [inner] if (depth - level) % 2 else {"a": inner}
    return dict(inner)


GOOD = {"inbox": "anna@example.com", "recipient": "r@example.com", "subject": "Hi", "body": "Hello"}


def test_a_full_touch_keeps_every_field() -> None:
    draft = parse_draft(
        {**GOOD, "metadata": {"a": 1}, "not_before": "2026-03-01T08:00:00+01:00", "idempotency_key": "k"}
    )
    assert (draft.inbox, draft.recipient, draft.subject, draft.body) == (
        "anna@example.com",
        "r@example.com",
        "Hi",
        "Hello",
    )
    assert (draft.metadata, draft.not_before, draft.idempotency_key) == ({"a": 1}, 1772348400.0, "k")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"recipient": None}, "recipient"),
        ({"recipient": ""}, "recipient"),
        ({"recipient": "  "}, "recipient"),
        ({"recipient": 7}, "recipient"),
        ({"recipient": "a@example.com\r\nBcc: b@example.com"}, "recipient"),
        ({"subject": "Hi\nBcc: b@example.com"}, "subject"),
        ({"subject": "Hi\rthere"}, "subject"),
        ({"subject": "Hi\u2028there"}, "subject"),
        ({"subject": "x" * 999}, "subject"),
        ({"subject": "\ud800"}, "subject"),
        ({"inbox": "a\n"}, "inbox"),
        ({"idempotency_key": "a\r\nb"}, "idempotency_key"),
        ({"body": None}, "body"),
        ({"body": " \n"}, "body"),
        ({"body": "a\0b"}, "body"),
        ({"body": "\udfff"}, "body"),
        ({"body": "é" * (MAX_BODY_BYTES // 2 + 1)}, "body"),
        ({"body": "x" * 10_000_000}, "body"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"a": "x" * 20_000}}, "metadata"),
        ({"metadata": {"a": "\0"}}, "metadata"),
        ({"metadata": {"a": "\ud800"}}, "metadata"),
        ({"metadata": {"\0": "a"}}, "metadata"),
        ({"metadata": {"a": json.loads("1e400")}}, "metadata"),
        ({"metadata": {"a": [{"b": "\udfff"}]}}, "metadata"),
        ({"metadata": nested(MAX_METADATA_DEPTH + 1)}, "metadata"),
        ({"metadata": nested(1020)}, "metadata"),
        ({"not_before": "soon"}, "not_before"),
        ({"not_before": True}, "not_before"),
        ({"not_before": 1_790_000_000_000}, "not_before"),
        ({"not_before": float("nan")}, "not_before"),
        ({"not_befor": 5}, "not_befor"),
    ],
)
def test_a_bad_field_is_named(changes: dict[str, object], field: str) -> None:
    with pytest.raises(TouchError) as caught:
        parse_draft({**GOOD, **changes})
    assert caught.value.field == field
    assert len(str(caught.value)) < 300


def test_metadata_may_be_nested_up_to_its_bound() -> None:
    assert parse_draft({**GOOD, "metadata": nested(MAX_METADATA_DEPTH)}).metadata
    with pytest.raises(TouchError, match="at most 64 levels"):
        parse_draft({**GOOD, "metadata": nested(MAX_METADATA_DEPTH + 1)})


@pytest.mark.parametrize("text", ["C:\\udemy", "got \\x00 byte", "\\ud83d", "\x01", "\U0001f600"])
def test_metadata_may_hold_any_legal_text(text: str) -> None:
    assert parse_draft({**GOOD, "metadata": {text: [text]}}).metadata == {text: [text]}


@pytest.mark.parametrize("data", [None, [], "x", 3])
def test_something_else_than_an_object_is_refused(data: object) -> None:
    with pytest.raises(TouchError, match="JSON object"):
        parse_draft(data)


def test_a_subject_may_be_left_out_and_a_body_may_have_lines() -> None:
    draft = parse_draft({"inbox": "a", "recipient": "r", "body": "one\r\ntwo\n"})
    assert (draft.subject, draft.body) == ("", "one\r\ntwo\n")


@pytest.mark.parametrize(
    ("written", "wire"),
    [
        ("a@example.com", "a@example.com"),
        ("A.b+c@EXAMPLE.com", "A.b+c@example.com"),
        ("leser@bücher.example", "leser@xn--bcher-kva.example"),
        ("a@пример.рф", "a@xn--e1afmkfd.xn--p1ai"),
        ("a@localhost", "a@localhost"),
    ],
)
def test_an_email_domain_goes_out_in_ascii(written: str, wire: str) -> None:
    assert check_recipient(written, "email") == wire


DOMAINS = json.loads(Path(__file__).with_name("data").joinpath("domains.json").read_text("utf-8"))


@pytest.mark.parametrize("case", DOMAINS, ids=lambda case: str(case["written"]))
def test_a_domain_goes_out_by_idna_2008(case: dict[str, str | None]) -> None:
    written, wire = f"user@{case['written']}", case["wire"]
    if wire is None:
        with pytest.raises(TouchError, match="the domain is"):
            email_address("recipient", written)
        return
    assert email_address("recipient", written) == f"user@{wire}"
    assert recipient_key(written) == recipient_key(f"USER@{wire} ")
    former = case.get("idna_2003")
    assert idna_2003_key(written) == (former and recipient_key(f"user@{former}"))


@pytest.mark.parametrize(
    "written",
    ["", "a", "@example.com", "a@", "a b@example.com", "a@exa mple.com", "a@-x.com", "ä@example.com",
     "a..b@example.com", "a@example", "a@" + "x" * 64 + ".com", "x" * 65 + "@example.com",
     "a@example.com, b@example.com", "<a@example.com>", "a@.com"],
)  # fmt: skip
def test_what_is_no_email_address_is_refused(written: str) -> None:
    with pytest.raises(TouchError):
        email_address("recipient", written)


def test_other_channels_take_any_handle() -> None:
    assert check_recipient("@someone", "dm") == "@someone"


def test_a_channel_that_was_removed_is_refused() -> None:
    with pytest.raises(TouchError, match="'pigeon', which is no longer supported"):
        check_recipient("@someone", "pigeon")


@pytest.mark.parametrize("channel", CHANNELS.values(), ids=list(CHANNELS))
def test_every_channel_names_a_sender(channel: Channel) -> None:
    sender = import_string(channel.sender)
    assert callable(sender.send)
    assert callable(sender.close)


def test_every_spelling_of_a_recipient_has_the_same_key() -> None:
    assert recipient_key(" A@Example.com") == recipient_key("a@example.COM")
    assert recipient_key("a@example.com") != recipient_key("b@example.com")
    assert recipient_key("@Reader ") == recipient_key("@reader")


@pytest.mark.parametrize("written", ["user@exämple.com", "User@EXÄMPLE.com ", " user@XN--exmple-cua.com\n"])
def test_an_international_domain_has_one_key(written: str) -> None:
    assert recipient_key(written) == recipient_key(check_recipient("user@exämple.com", "email"))


@given(st.integers(0, 2**48 - 2), st.integers(0, 2**74 - 1), st.integers(0, 2**74 - 1))
def test_ids_sort_by_time(now_ms: int, bits: int, others: int) -> None:
    first, second = new_touch_id(now_ms, bits), new_touch_id(now_ms + 1, others)
    assert first < second
    assert str(first) < str(second)
    assert first.version == 7
    assert UUID(str(first)).variant == "specified in RFC 4122"


@given(st.text(), st.text(), st.text())
def test_whatever_comes_in_is_a_draft_or_an_error(recipient: str, subject: str, body: str) -> None:
    try:
        draft = parse_draft({"inbox": "a", "recipient": recipient, "subject": subject, "body": body})
        email_address("recipient", draft.recipient).encode("ascii")
    except TouchError:
        return
    assert not {"\r", "\n"} & set(draft.recipient + draft.subject)
    json.dumps(draft.body).encode()
