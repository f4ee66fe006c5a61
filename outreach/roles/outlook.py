"""The forecast of every inbox that has touches, from the ledger and the live queue."""

from collections.abc import Iterator
from dataclasses import dataclass

from outreach.models import RESERVABLE, Inbox, Touch
from outreach.rules.forecast import Forecast, forecast
from outreach.store.inspection import QueueView


@dataclass(frozen=True, slots=True)
class Outlook:
    address: str
    queued: int
    forecast: Forecast


def outlooks(view: QueueView, days: int) -> Iterator[Outlook]:
    """One for each inbox with touches that are not handed out yet, the fullest first."""
    now_ms = view.now_ms()
    waiting: dict[int, list[int]] = {}
    for inbox_id, due_at in Touch.objects.filter(status__in=RESERVABLE).values_list("inbox_id", "due_at").iterator():
        waiting.setdefault(inbox_id, []).append(0 if due_at is None else round(due_at.timestamp() * 1000))
    inboxes = Inbox.objects.in_bulk(waiting)
    for inbox_id, due_ms in sorted(waiting.items(), key=lambda pair: -len(pair[1])):
        rules = inboxes[inbox_id].rules
        sends = rules.terms(now_ms / 1000).stamps_needed
        history = view.lanes([inbox_id], sends)[inbox_id].history
        yield Outlook(inboxes[inbox_id].address, len(due_ms), forecast(rules, history, due_ms, now_ms, days))
