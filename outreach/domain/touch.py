"""A touch before it is queued: its fields, checked, and what identifies it and its recipient."""

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import idna

from outreach.domain.fields import MAX_RECIPIENT_CHARACTERS, TouchError, email_address, header_text, plain_text
from outreach.domain.mail_parts import MAIL_FIELDS, MailParts, parse_mail_parts

FIELDS = ("inbox", "recipient", "subject", "body", "metadata", "not_before", "idempotency_key", *MAIL_FIELDS)
MAX_BODY_BYTES = 1_000_000
MAX_METADATA_CHARACTERS = 10_000
MAX_METADATA_DEPTH = 64
MAX_SUBJECT_CHARACTERS = 998  # RFC 5322, 2.1.1: the longest line
MAX_KEY_CHARACTERS = 200
LATEST_NOT_BEFORE = 4_102_444_800  # the year 2100: anything later is milliseconds mistaken for seconds
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # no text of a database can hold them


class UnknownInboxError(TouchError):
    """The touch names an unknown inbox."""

    def __init__(self) -> None:
        super().__init__("inbox", "no inbox has this address")


class KeyReusedError(TouchError):
    """The account has used the idempotency key for another touch."""

    def __init__(self) -> None:
        super().__init__("idempotency_key", "was already used for a different touch; use another key")


@dataclass(frozen=True, slots=True)
class Draft:
    """A checked touch that is not queued yet. ``not_before`` is in Unix seconds."""

    inbox: str
    recipient: str
    subject: str
    body: str
    metadata: dict[str, Any] = field(default_factory=dict)
    not_before: float | None = None
    idempotency_key: str | None = None
    mail: MailParts = field(default_factory=MailParts)


def parse_draft(data: object) -> Draft:
    """The touch in one decoded JSON object. The recipient's form depends on the inbox's channel and is checked by
    ``channels.check_recipient``. Raises TouchError."""
    if not isinstance(data, Mapping):
        raise TouchError("touch", "must be a JSON object")
    if unknown := sorted(str(name) for name in data.keys() - set(FIELDS)):
        raise TouchError(unknown[0], f"is not a field of a touch; the fields are {', '.join(FIELDS)}")
    mail = parse_mail_parts(data)
    return Draft(
        inbox=header_text(data, "inbox", MAX_RECIPIENT_CHARACTERS),
        recipient=header_text(data, "recipient", MAX_RECIPIENT_CHARACTERS),
        subject=header_text(data, "subject", MAX_SUBJECT_CHARACTERS, default=""),
        body=_body(data, mail),
        metadata=_metadata(data.get("metadata")),
        not_before=_moment(data.get("not_before")),
        idempotency_key=header_text(data, "idempotency_key", MAX_KEY_CHARACTERS, default="") or None,
        mail=mail,
    )


def draft_digest(draft: Draft, inbox_id: int) -> str:
    """A digest (64 hex digits) of the requested touch, normalised, to detect another touch under the same idempotency
    key. ``draft`` has its recipient in wire form."""
    asked = [inbox_id, draft.recipient, draft.subject, draft.body, draft.metadata, draft.not_before]
    if mail := draft.mail.as_json():  # a touch without these parts keeps the digest that it had before they existed
        asked.append(mail)
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def mailbox(address: str) -> str:
    """The identity of a mailbox: an e-mail address in wire form and lower case, any other handle unchanged.

    RFC 5321, 2.4 allows a server to distinguish ``A@x`` from ``a@x``; no large provider does.
    """
    try:
        return email_address("address", address).lower()
    except TouchError:
        return address


def recipient_key(recipient: str) -> str:
    """The digest (64 hex digits) by which suppression knows a recipient; the same for every spelling, including
    international domains."""
    return _digest(mailbox(recipient.strip()))


def idna_2003_key(recipient: str) -> str | None:
    """The key that the recipient had while domains were written by IDNA 2003; None when it is ``recipient_key``."""
    local, at, domain = mailbox(recipient.strip()).rpartition("@")
    if "xn--" not in domain:
        return None
    try:
        former = idna.decode(domain).encode("idna").decode("ascii")
    except UnicodeError:  # a domain that only one of the standards allows
        return None
    return None if former == domain else _digest(local + at + former)


def _digest(identity: str) -> str:
    return hashlib.sha256(identity.casefold().encode()).hexdigest()


def new_touch_id(now_ms: int, random_bits: int) -> UUID:
    """A UUID of version 7 (RFC 9562, 5.7): sorts by time. ``random_bits`` has 74 of them."""
    high, low = random_bits >> 62 & 0xFFF, random_bits & (1 << 62) - 1
    return UUID(int=(now_ms & (1 << 48) - 1) << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)


def _body(data: Mapping[str, Any], mail: MailParts) -> str:
    body = plain_text("body", data.get("body"))
    if not body.strip():
        raise TouchError("body", "must not be empty")
    if "\0" in body:
        raise TouchError("body", "must not contain the character U+0000")
    if (size := len(body.encode())) > MAX_BODY_BYTES:
        raise TouchError("body", f"has {size} bytes; at most {MAX_BODY_BYTES} are allowed")
    if (size := size + len(mail.html.encode())) > MAX_BODY_BYTES:
        raise TouchError("html", f"has {size} bytes with the body; at most {MAX_BODY_BYTES} are allowed together")
    return body


def _metadata(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TouchError("metadata", "must be a JSON object")
    if _is_deeper_than(MAX_METADATA_DEPTH, value):
        raise TouchError("metadata", f"is nested too deeply; at most {MAX_METADATA_DEPTH} levels are allowed")
    if len(repr(value)) > MAX_METADATA_CHARACTERS:
        raise TouchError("metadata", f"is too large; at most {MAX_METADATA_CHARACTERS} characters are allowed")
    if any(_UNSTORABLE.search(text) for text in _texts(value)):
        raise TouchError("metadata", "must not contain U+0000 or a lone surrogate")
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:  # JSON like 1e400 is read as infinity
        raise TouchError("metadata", "has a number that is too large") from None
    return value


def _texts(value: object) -> Iterator[str]:
    """Every text in decoded JSON, names of members included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in (*value, *value.values()) if isinstance(value, dict) else value:
            yield from _texts(inner)


def _is_deeper_than(most: int, value: object) -> bool:
    """Whether objects and lists are nested more than ``most`` levels deep; ``{}`` is one level."""
    level = [value]
    for _ in range(most):
        holders = [one for one in level if isinstance(one, dict | list)]
        level = [inner for one in holders for inner in (one.values() if isinstance(one, dict) else one)]
    return any(isinstance(one, dict | list) for one in level)


def _moment(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TouchError("not_before", "must be an ISO 8601 time or Unix seconds")
    seconds = _iso_seconds(value) if isinstance(value, str) else float(value)
    if not math.isfinite(seconds) or not 0 <= seconds < LATEST_NOT_BEFORE:
        raise TouchError("not_before", "must be between 1970 and 2100; numbers are seconds, not milliseconds")
    return seconds


def _iso_seconds(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise TouchError(
            "not_before", f"{text[:40]!r} is not an ISO 8601 time such as 2026-03-01T08:00:00+01:00"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
