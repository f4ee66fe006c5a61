"""What a mail has beside its subject and text: names, an HTML form, the thread that it continues, and tags."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self
from uuid import UUID

from outreach.domain.fields import MAX_RECIPIENT_CHARACTERS, TouchError, email_address, header_text, plain_text

MAX_NAME_CHARACTERS = 100
MAX_MESSAGE_ID_CHARACTERS = 250
MAX_REFERENCES = 50
MAX_TAGS = 10
TAG = re.compile(r"[!-+\--~]{1,64}")  # printable ASCII without blanks and commas, which mail services use as separators
MAIL_FIELDS = ("display_name", "reply_to", "html", "in_reply_to", "references", "tags")

_MESSAGE_ID = re.compile(r"<[!-;=?A-~]+@[!-;=?A-~]+>")  # RFC 5322, 3.6.4, in printable ASCII


@dataclass(frozen=True, slots=True)
class MailParts:
    """``in_reply_to`` and ``references``: Message-IDs, or ids of earlier touches of the inbox until ``resolved``."""

    display_name: str = ""
    reply_to: str = ""
    html: str = ""
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def only_in_mail(self) -> list[str]:
        """The names of the parts that are set and that other channels do not have."""
        return [name for name in MAIL_FIELDS if name != "tags" and getattr(self, name)]

    @property
    def thread(self) -> list[str]:
        """The Message-IDs of the thread, oldest first, each once (RFC 5322, 3.6.4)."""
        return list(dict.fromkeys((*self.references, *filter(None, [self.in_reply_to]))))

    def resolved(self, sender_address: str) -> Self:
        """With the Message-IDs of touches that were named by their ids."""
        named = [message_id(one, sender_address) for one in (self.in_reply_to, *self.references)]
        return replace(self, in_reply_to=named[0], references=tuple(named[1:]))

    def with_defaults(self, display_name: str, reply_to: str) -> Self:
        """With the inbox's settings where the touch has none of its own."""
        return replace(self, display_name=self.display_name or display_name, reply_to=self.reply_to or reply_to)

    def as_json(self) -> dict[str, Any] | None:
        """The parts that are set; None without any."""
        return {name: value for name, value in asdict(self).items() if value} or None

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> Self:
        lists = {name: tuple(value) for name, value in (stored or {}).items() if isinstance(value, list)}
        return cls(**{**(stored or {}), **lists})


def message_id(touch_id: str, sender_address: str) -> str:
    """The Message-ID of a touch's mail; a Message-ID and "" stay as they are."""
    return f"<{touch_id}@{sender_address.rpartition('@')[2]}>" if touch_id and "@" not in touch_id else touch_id


def parse_mail_parts(data: Mapping[str, Any]) -> MailParts:
    """The optional fields of a touch in MAIL_FIELDS. Raises TouchError."""
    reply_to = header_text(data, "reply_to", MAX_RECIPIENT_CHARACTERS, default="")
    return MailParts(
        display_name=header_text(data, "display_name", MAX_NAME_CHARACTERS, default=""),
        reply_to=email_address("reply_to", reply_to) if reply_to else "",
        html=_html(data.get("html")),
        in_reply_to=_message_id("in_reply_to", data.get("in_reply_to"), default=""),
        references=tuple(_message_id("references", one) for one in _items(data, "references", MAX_REFERENCES)),
        tags=tuple(dict.fromkeys(_tag(one) for one in _items(data, "tags", MAX_TAGS))),
    )


def _html(value: object) -> str:
    if value is None:
        return ""
    html = plain_text("html", value)
    if "\0" in html:
        raise TouchError("html", "must not contain the character U+0000")
    return html if html.strip() else ""


def _message_id(name: str, value: object, default: str | None = None) -> str:
    text = header_text({name: value}, name, MAX_MESSAGE_ID_CHARACTERS, default)
    if not text or _MESSAGE_ID.fullmatch(text):
        return text
    try:
        return str(UUID(text))
    except ValueError:
        raise TouchError(
            name, "must be a Message-ID such as <a@example.com>, or the id of an earlier touch of this inbox"
        ) from None


def _items(data: Mapping[str, Any], name: str, most: int) -> Sequence[object]:
    value = data.get(name)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise TouchError(name, "must be an array")
    if len(value) > most:
        raise TouchError(name, f"has {len(value)} items; at most {most} are allowed")
    return value


def _tag(value: object) -> str:
    if not isinstance(value, str) or not TAG.fullmatch(value):
        raise TouchError("tags", "must be texts of 1 to 64 printable ASCII characters without blanks and commas")
    return value
