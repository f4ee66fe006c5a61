"""What holds the next touch of many inboxes at once, for few Redis commands however many they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from avo_project.redaction import redacted
from outreach.models import Inbox
from outreach.roles.waiting import TEXTS
from outreach.rules.inbox_rules import NEVER_MS, PAUSED, History, next_moment, utc_from_ms
from outreach.store.inspection import Glimpse, QueueView

_MOST_LOGS = 6


@dataclass(frozen=True, slots=True)
class InboxOutlook:
    """``text`` is empty when nothing holds the inbox; ``until`` None when that has no known end."""

    inbox: Inbox
    in_flight: int
    text: str
    until: datetime | None


def inbox_outlooks(inboxes: Sequence[Inbox], view: QueueView, now_ms: int) -> list[InboxOutlook]:
    """In the order of ``inboxes``. Three commands, and one more for each of the first few whose limits hold them; of
    the others it says no more than that their limits or their touches' own times do."""
    glimpses = view.glimpses([inbox.pk for inbox in inboxes])
    by_limits = [inbox for inbox in inboxes if _is_held_by_limits(inbox, glimpses[inbox.pk], now_ms)][:_MOST_LOGS]
    sends = {inbox.pk: inbox.rules.terms(now_ms / 1000).stamps_needed for inbox in by_limits}
    stamps = view.stamps(sends)
    return [_outlook(inbox, glimpses[inbox.pk], stamps.get(inbox.pk), now_ms) for inbox in inboxes]


def _is_held_by_limits(inbox: Inbox, glimpse: Glimpse, now_ms: int) -> bool:
    held = next_moment(inbox.rules, History((), glimpse.in_flight, glimpse.held_until_ms), now_ms)
    return held.reason is None and glimpse.next_ms is not None and glimpse.next_ms > now_ms


def _outlook(inbox: Inbox, glimpse: Glimpse, stamps: Sequence[int] | None, now_ms: int) -> InboxOutlook:
    history = History(stamps or (), glimpse.in_flight, glimpse.held_until_ms)
    verdict = next_moment(inbox.rules, history, now_ms)
    is_later = glimpse.next_ms is not None and glimpse.next_ms > now_ms
    if verdict.reason is not None:
        because = TEXTS[verdict.reason]
        if verdict.reason == PAUSED and inbox.pause_reason:
            because = f"{because}: {redacted(inbox.pause_reason)}"
        text = f"Waits because {because}."
        until_ms = verdict.until_ms
    elif not is_later:
        return InboxOutlook(inbox, glimpse.in_flight, "", None)
    elif glimpse.next_ms is not None and glimpse.next_ms >= NEVER_MS:
        text, until_ms = "Waits for a worker to notice that it may send again: within seconds.", None
    else:
        text = (
            "Waits for its touches' own times." if stamps is not None else "Waits for its limits or its touches' times."
        )
        until_ms = glimpse.next_ms
    return InboxOutlook(inbox, glimpse.in_flight, text, None if until_ms is None else utc_from_ms(until_ms))
