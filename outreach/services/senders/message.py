"""The mail of a touch, for any of Django's e-mail backends."""

from email.message import Message
from email.policy import Compat32
from email.utils import formatdate
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.core.mail.message import BadHeaderError, MIMEMixin

from outreach.conf import OutreachConf
from outreach.domain.mail_parts import message_id
from outreach.domain.mime import encoded_body, list_header, mailbox_header, quoted, text_header
from outreach.domain.reservation import Outgoing
from outreach.services.suppression import unsubscribe_token


class TouchMail(EmailMultiAlternatives):
    """The mail of a touch. Its Message-ID is derived from the touch, so that a mailbox can detect a duplicate.

    Backends of mail services read its attributes; the others send ``message()``, which is ASCII throughout.
    """

    def __init__(self, touch: Outgoing, conf: OutreachConf, connection: Any = None) -> None:
        sender, parts = touch.sender_address, touch.mail
        super().__init__(
            touch.subject,
            touch.body,
            f"{quoted(parts.display_name)} <{sender}>" if parts.display_name else sender,
            [touch.recipient],
            connection=connection,
            headers=_headers(touch, conf.public_url),
            alternatives=[(parts.html, "text/html")] if parts.html else None,
            reply_to=[parts.reply_to] if parts.reply_to else None,
        )
        self.tags = list(parts.tags)
        self._touch = touch
        self._tag_header = conf.tag_header

    def message(self, **options: Any) -> Any:
        """Raises BadHeaderError for a header with a line end."""
        touch, parts = self._touch, self._touch.mail
        made = _alternative(touch) if parts.html else _text_part("plain", touch.body)
        made["MIME-Version"] = "1.0"
        made["Date"] = formatdate(touch.started_at)
        made["From"] = mailbox_header("From", _one_line(parts.display_name), _one_line(touch.sender_address))
        made["To"] = _one_line(touch.recipient)
        if parts.reply_to:
            made["Reply-To"] = _one_line(parts.reply_to)
        made["Subject"] = text_header("Subject", _one_line(touch.subject))
        for name, value in self.extra_headers.items():
            made[name] = _one_line(value) if name != "References" else list_header(name, _one_line(value).split())
        for tag in self.tags if self._tag_header else ():
            made[self._tag_header] = _one_line(tag)
        return made


def _headers(touch: Outgoing, public_url: str) -> dict[str, str]:
    """List-Unsubscribe is not folded: simple parsers of RFC 2369 fields read only the first line."""
    unsubscribe = f"{public_url.rstrip('/')}/u/{unsubscribe_token(touch.touch_id)}"
    headers = {
        "Message-ID": message_id(touch.touch_id, touch.sender_address),
        "List-Unsubscribe": f"<{unsubscribe}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    if touch.mail.in_reply_to:
        headers["In-Reply-To"] = touch.mail.in_reply_to
    if touch.mail.thread:
        headers["References"] = " ".join(touch.mail.thread)
    return headers


class _AsWritten(Compat32):
    """Writes headers as they were set: they are folded already."""

    def fold(self, name: str, value: str) -> str:
        return f"{name}: {value}\n".replace("\n", self.linesep)

    def fold_binary(self, name: str, value: str) -> bytes:
        return self.fold(name, value).encode("ascii")


class _Message(MIMEMixin, Message):  # type: ignore[misc]
    """A message or a part of one, in ASCII."""

    def __init__(self) -> None:
        super().__init__(_AsWritten())


def _alternative(touch: Outgoing) -> _Message:
    """Text and HTML, in this order, so that a reader takes the last form it can show (RFC 2046, 5.1.4)."""
    made = _Message()
    made["Content-Type"] = f'multipart/alternative; boundary="=_{touch.touch_id}"'
    made.attach(_text_part("plain", touch.body))
    made.attach(_text_part("html", touch.mail.html))
    return made


def _text_part(subtype: str, text: str) -> _Message:
    part = _Message()
    encoding, payload = encoded_body(text)
    part["Content-Type"] = f'text/{subtype}; charset="utf-8"'
    part["Content-Transfer-Encoding"] = encoding
    part.set_payload(payload)
    return part


def _one_line(text: str) -> str:
    if "\n" in text or "\r" in text:
        raise BadHeaderError("a header must be one line")
    return text
