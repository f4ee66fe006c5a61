"""Looks up inboxes by address in any spelling, and changes their settings."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet

from outreach.conf import OutreachConf
from outreach.domain.inbox_settings import check_inbox
from outreach.domain.touch import mailbox
from outreach.models import HOLD_FIELDS, Inbox, inboxes_of


class InboxNames(dict[str, Inbox | None]):
    """Inboxes by address, each looked up once. The exact spelling takes precedence, so that both of two inboxes that
    share a mailbox can be named."""

    def __missing__(self, address: str) -> Inbox | None:
        self.look_up([address])
        return self[address]

    def look_up(self, addresses: Iterable[str]) -> None:
        """Looks up all of them in one query, or two."""
        wanted = {address for address in addresses if address not in self}
        self.update((inbox.address, inbox) for inbox in Inbox.objects.filter(address__in=wanted))
        if others := {address: mailbox(address) for address in wanted - self.keys()}:
            by_mailbox = {mailbox(inbox.address): inbox for inbox in inboxes_of(others.values())}
            self.update((address, by_mailbox.get(its)) for address, its in others.items())


def inbox_named(address: str) -> Inbox:
    """The inbox of this address. Raises LookupError."""
    inbox = InboxNames()[address]
    if inbox is None:
        raise LookupError(f"there is no inbox {address!r}")
    return inbox


def change_inbox(address: str, changes: dict[str, Any], warm_up_at: float | None = None) -> Inbox:
    """Creates or updates the inbox; only the fields in ``changes`` are set. An inbox keeps the spelling of its address,
    and can be paused whatever its other settings are. A warm-up in ``changes`` begins on the day that ``warm_up_at``
    (Unix seconds) is in the inbox's time zone. Raises InboxError."""
    inbox = InboxNames()[address.strip(" ")] or Inbox(address=address)
    for name, value in changes.items():
        setattr(inbox, name, value)
    if changes.get("paused") is False:
        inbox.release()
    if not inbox.paused:
        inbox.pause_reason = ""
    if inbox.pk is None or changes != {"paused": True}:
        check_inbox(inbox, allow_private_hosts=OutreachConf.load().allow_private_hosts)
    if inbox.warm_up_start is None:
        inbox.warm_up_began = None
    elif warm_up_at is not None and "warm_up_start" in changes:
        inbox.warm_up_began = datetime.fromtimestamp(warm_up_at, ZoneInfo(inbox.timezone)).date()
    inbox.save()
    return inbox


def set_paused(inboxes: QuerySet[Inbox], *, paused: bool) -> int:
    """Pauses or resumes the inboxes that are not yet; resuming also ends holds. Returns how many changed."""
    changed = list(inboxes.filter(paused=False) if paused else stopped(inboxes))
    for inbox in changed:
        inbox.paused, inbox.pause_reason = paused, "paused by an operator" if paused else ""
        if not paused:
            inbox.release()
        inbox.save(update_fields=["paused", "pause_reason", *HOLD_FIELDS])
    return len(changed)


def stopped(inboxes: QuerySet[Inbox]) -> QuerySet[Inbox]:
    """Those that are paused or held."""
    return inboxes.filter(Q(paused=True) | Q(held_until__isnull=False))


def describe(inbox: Inbox) -> str:
    """The inbox's settings in one line."""
    limits = [
        f'as "{inbox.display_name}"' if inbox.display_name else "",
        f"replies to {inbox.reply_to}" if inbox.reply_to else "",
        f"{inbox.per_minute}/min" if inbox.per_minute else "",
        f"{inbox.per_day}/day" if inbox.per_day else "",
        f"gap {inbox.min_gap_seconds:g} s" if inbox.min_gap_seconds else "",
        f"{inbox.window_opens:%H:%M}-{inbox.window_closes:%H:%M} {inbox.timezone}" if inbox.window_opens else "",
        f"warm-up {inbox.warm_up_start}+{inbox.warm_up_step or 0}/day to {inbox.warm_up_target}"
        if inbox.warm_up_began
        else "",
        "paused" if inbox.paused else "",
        f"held until {inbox.held_until:%Y-%m-%d %H:%M:%S} UTC ({inbox.hold_reason})" if inbox.held_until else "",
    ]
    return f"{inbox.address} ({inbox.channel}): {', '.join(filter(None, limits)) or 'no limits'}"
