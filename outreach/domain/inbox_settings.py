"""Validation of inbox settings, and presets with the limits of well-known providers.

gmail: 500 messages a day for a personal account, 2,000 for Workspace (support.google.com/a/answer/166852, "Gmail
sending limits in Google Workspace"). exchange: 30 messages a minute and 10,000 recipients a day (learn.microsoft.com,
"Exchange Online limits", section Sending limits). The gaps are ours: about what a person could type.
"""

import re
from datetime import time
from typing import Any, Protocol
from zoneinfo import available_timezones

from outreach.domain.channels import CHANNELS, check_mail
from outreach.domain.endpoint import ForbiddenUrlError, check_url
from outreach.domain.fields import TouchError, header_text
from outreach.domain.inbox_rules import MOST_SENDS
from outreach.domain.mail_parts import parse_mail_parts

PRESETS: dict[str, dict[str, Any]] = {
    "gmail": {"per_day": 500, "per_minute": 20, "min_gap_seconds": 2.0},
    "gmail-workspace": {"per_day": 2000, "per_minute": 30, "min_gap_seconds": 1.0},
    "exchange": {"per_day": 10_000, "per_minute": 30, "min_gap_seconds": 1.0},
}


_LONGEST_GAP_SECONDS = 86_400
# Files of the time zone database that are no zones: the host's choice, "not set", and copies with other rules.
_NO_PLACE = re.compile("localtime$|Factory$|posixrules$|posix/|right/")


class InboxError(ValueError):
    """An invalid setting; the message names it and what is allowed."""


class InboxSettings(Protocol):
    """The settings of an inbox; ``models.Inbox`` implements it."""

    address: str
    channel: str
    url: str
    display_name: str
    reply_to: str
    per_minute: int | None
    per_day: int | None
    min_gap_seconds: float | None
    window_opens: time | None
    window_closes: time | None
    timezone: str
    warm_up_start: int | None
    warm_up_step: int | None
    warm_up_target: int | None


def check_inbox(inbox: InboxSettings, *, allow_private_hosts: bool = False) -> None:
    """Validates every setting and converts the address to wire form; ``allow_private_hosts``: as of ``check_url``.
    Raises InboxError."""
    channel = CHANNELS.get(inbox.channel)
    if channel is None:
        raise InboxError(f"channel: must be one of {', '.join(CHANNELS)}")
    try:
        inbox.address = header_text({"address": inbox.address}, "address", 254)
        inbox.address = channel.wire_address("address", inbox.address)
        _check_mail(inbox)
        if channel.needs_url:
            check_url(inbox.url, allow_private_hosts=allow_private_hosts)
    except TouchError as error:
        raise InboxError(str(error)) from None
    except ForbiddenUrlError as error:
        raise InboxError(f"url: {error}") from None
    _check_limits(inbox)
    _check_window(inbox)


def _check_mail(inbox: InboxSettings) -> None:
    """Raises TouchError."""
    mail = parse_mail_parts({"display_name": inbox.display_name, "reply_to": inbox.reply_to})
    check_mail(mail, inbox.channel)
    inbox.display_name, inbox.reply_to = mail.display_name, mail.reply_to


def parse_window(text: str) -> tuple[time, time]:
    """Parses ``08:00-18:00``. Raises InboxError."""
    opens, _, closes = text.partition("-")
    try:
        found = time.fromisoformat(opens.strip()), time.fromisoformat(closes.strip())
    except ValueError:
        raise InboxError(f"window: {text!r} is not of the form 08:00-18:00") from None
    if any(one.tzinfo for one in found):
        raise InboxError(f"window: {text!r} has an offset; write 08:00-18:00 and name the time zone (timezone)")
    return found


def parse_warm_up(text: str) -> dict[str, int | None]:
    """Parses ``20,10,500`` into the fields of a warm-up; ``off`` clears them. Raises InboxError."""
    names = ("warm_up_start", "warm_up_step", "warm_up_target")
    if text == "off":
        return dict.fromkeys(names)
    try:
        start, step, target = (int(part) for part in text.split(","))
    except ValueError:
        raise InboxError(f"warm_up: {text!r} must be START,STEP,TARGET, such as 20,10,500, or off") from None
    return dict(zip(names, (start, step, target), strict=True))


def _check_limits(inbox: InboxSettings) -> None:
    for name in ("per_minute", "per_day", "warm_up_start", "warm_up_target"):
        value = getattr(inbox, name)
        if value is not None and not 1 <= value <= MOST_SENDS:
            raise InboxError(f"{name}: must be between 1 and {MOST_SENDS}; to stop an inbox, pause it")
    if inbox.warm_up_step is not None and not 0 <= inbox.warm_up_step <= MOST_SENDS:
        raise InboxError(f"warm_up_step: must be between 0 and {MOST_SENDS}")
    if inbox.min_gap_seconds is not None and not 0 <= inbox.min_gap_seconds <= _LONGEST_GAP_SECONDS:
        raise InboxError(f"min_gap_seconds: must be between 0 and {_LONGEST_GAP_SECONDS}")


def _check_window(inbox: InboxSettings) -> None:
    if (inbox.window_opens is None) != (inbox.window_closes is None):
        raise InboxError("window: needs both the time it opens and the time it closes")
    if inbox.window_opens is not None and inbox.window_opens == inbox.window_closes:
        raise InboxError("window: opens and closes at the same time, so it would never be open")
    if inbox.timezone not in available_timezones() or _NO_PLACE.match(inbox.timezone):
        raise InboxError(f"timezone: {inbox.timezone!r} is not an IANA time zone such as Europe/Madrid")
