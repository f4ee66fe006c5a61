"""The mail of a touch, for any of Django's e-mail backends."""

from email.message import Message
from email.policy import compat32
from email.utils import formatdate
from typing import Any

from django.core.mail import EmailMessage
from django.core.mail.message import BadHeaderError, MIMEMixin

from outreach.domain.mime import encoded_body, mailbox_header, text_header
from outreach.domain.reservation import Outgoing
from outreach.services.suppression import unsubscribe_token


def message(touch: Outgoing, public_url: str, connection: Any = None) -> EmailMessage:
    """The mail of a touch. Its Message-ID is derived from the touch, so that a mailbox can detect a duplicate."""
    unsubscribe = f"{public_url.rstrip('/')}/u/{unsubscribe_token(touch.touch_id)}"
    headers = {
        "Message-ID": f"<{touch.touch_id}@{touch.sender_address.rpartition('@')[2]}>",
        "List-Unsubscribe": f"<{unsubscribe}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    return TouchMail(touch, headers, connection)


class TouchMail(EmailMessage):
    """Backends of mail services read its attributes; the others send ``message()``, which is ASCII throughout."""

    def __init__(self, touch: Outgoing, headers: dict[str, str], connection: Any) -> None:
        super().__init__(
            touch.subject, touch.body, touch.sender_address, [touch.recipient], headers=headers, connection=connection
        )
        self._touch = touch

    def message(self, **options: Any) -> Any:
        """Raises BadHeaderError for a header with a line end."""
        made = _text_part("plain", self._touch.body)
        made["MIME-Version"] = "1.0"
        made["Date"] = formatdate(self._touch.started_at)
        made["From"] = mailbox_header("From", "", self._touch.sender_address)
        made["To"] = mailbox_header("To", "", self._touch.recipient)
        made["Subject"] = text_header("Subject", _one_line(self._touch.subject))
        for name, value in self.extra_headers.items():
            made[name] = _one_line(value)  # not folded: simple parsers of RFC 2369 fields read only the first line
        return made


class _Message(MIMEMixin, Message):  # type: ignore[misc]
    """Written as it is: headers are folded and bodies encoded before they are set."""

    def __init__(self) -> None:
        super().__init__(compat32.clone(max_line_length=None))


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
