"""The channels that touches are sent through. A new channel is a sender class and an entry in CHANNELS."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from outreach.domain.fields import TouchError, email_address
from outreach.domain.mail_parts import MailParts

EMAIL = "email"


def _any_handle(name: str, address: str) -> str:
    return address


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel.

    ``sender``: dotted path of its ``senders.Sender``. ``wire_address(field, address)`` returns an address in wire form
    or raises TouchError naming ``field``. ``needs_url``: whether its inboxes have a URL that touches are posted to.
    ``is_mail``: whether its touches can have all ``MailParts``, and its inboxes a display name and Reply-To.
    """

    label: str
    sender: str
    wire_address: Callable[[str, str], str] = _any_handle
    needs_url: bool = False
    is_mail: bool = False


CHANNELS: Mapping[str, Channel] = {
    EMAIL: Channel("Email", "outreach.services.senders.email.EmailSender", wire_address=email_address, is_mail=True),
    "dm": Channel("DM", "outreach.services.senders.http.HttpSender", needs_url=True),
    "retarget": Channel("Retarget", "outreach.services.senders.http.HttpSender", needs_url=True),
}


def check_recipient(recipient: str, channel: str) -> str:
    """The recipient in wire form. Raises TouchError."""
    if channel not in CHANNELS:
        raise TouchError("inbox", f"has the channel {channel!r}, which is no longer supported")
    return CHANNELS[channel].wire_address("recipient", recipient)


def check_mail(mail: MailParts, channel: str) -> None:
    """Refuses parts that the channel would drop. Raises TouchError."""
    if mail.only_in_mail and not CHANNELS[channel].is_mail:
        raise TouchError(mail.only_in_mail[0], f"is not possible on the channel {channel}")
