"""Explains why a touch or an inbox waits and until when, and forecasts when queued touches are sent."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from avo_project.lib.redaction import redacted
from outreach.domain.forecast import Forecast, earliest_send, forecast
from outreach.domain.inbox_rules import NEVER_MS, PAUSED, History, next_allowed, utc_from_ms
from outreach.domain.reservation import HoldReason
from outreach.models import RESERVABLE, Inbox, Touch
from outreach.services.keyset import keyset_pages
from outreach.store.inspection import LaneSummary, QueueView

_CHUNK = 1_000

_MAX_AHEAD = 2000  # beyond this, the time is a lower bound
TEXTS = {
    "delay": "its not_before time has not come",
    "retry": "the last attempt failed temporarily",
    "paused": "its inbox is paused",
    "window": "its inbox is outside its sending window",
    "per_minute": "its inbox has reached its limit per minute",
    "per_day": "its inbox has reached its limit per day",
    "min_gap": "its inbox keeps a minimum gap between touches",
    "in_flight": "its inbox has as many touches in flight as its limits allow",
    "quota": "its inbox is held because the server says that its quota is used up",
    "throttle": "its inbox is held because the server says that it sends too fast",
    "reputation": "its inbox is held because the server doubts its reputation",
    "server": "its inbox is held because the server fails or asks for time",
}

_HOLDS = get_args(HoldReason)


@dataclass(frozen=True, slots=True)
class Waiting:
    """``status`` as shown by the API; ``reason`` (of ``inbox_rules``) and ``until`` are None when nothing delays it."""

    status: str
    reason: str | None = None
    until: datetime | None = None
    detail: str = ""

    @property
    def text(self) -> str:
        if self.reason is None:
            return ""
        because = f"{TEXTS[self.reason]}: {self.detail}" if self.detail else TEXTS[self.reason]
        return f"Waits because {because.rstrip('.')}."


def inbox_waiting(inbox: Inbox, view: QueueView, now_ms: int) -> Waiting:
    """Why the inbox's next touch waits."""
    return inboxes_waiting([inbox], view, now_ms)[inbox.pk]


def inboxes_waiting(inboxes: Sequence[Inbox], view: QueueView, now_ms: int) -> dict[int, Waiting]:
    """Why the next touch of each inbox waits, in one round trip."""
    sends = max((inbox.rules.effective_limits(now_ms / 1000).stamps_needed for inbox in inboxes), default=0)
    lanes = view.lanes([inbox.pk for inbox in inboxes], sends)
    return {inbox.pk: _of_inbox(inbox, lanes[inbox.pk].history, now_ms) for inbox in inboxes}


def touch_waiting(touch: Touch, view: QueueView, now_ms: int) -> Waiting:
    """Why this touch waits; ``queued`` if it is due and its inbox may send."""
    if touch.status not in RESERVABLE:
        return Waiting(touch.status)
    lane = view.lanes([touch.inbox_id], touch.inbox.rules.effective_limits(now_ms / 1000).stamps_needed)[touch.inbox_id]
    inbox = _of_inbox(touch.inbox, lane.history, now_ms)
    if inbox.reason == PAUSED:
        return inbox
    if touch.due_at is not None and touch.due_at.timestamp() * 1000 > now_ms:
        is_retry = touch.status == Touch.Status.RETRYING
        return Waiting(
            touch.status if is_retry else Touch.Status.WAITING, "retry" if is_retry else "delay", touch.due_at
        )
    ahead = view.position(touch.inbox_id, str(touch.pk)) or 0
    return _queued_behind(touch.inbox, lane.history, min(ahead, _MAX_AHEAD), now_ms) if ahead else inbox


def _queued_behind(inbox: Inbox, history: History, ahead: int, now_ms: int) -> Waiting:
    """Why a touch with others ahead of it in its lane waits."""
    decision = earliest_send(inbox.rules, history, ahead, now_ms)
    if decision.reason is None:
        return Waiting(Touch.Status.QUEUED)
    until = None if decision.until_ms is None else utc_from_ms(decision.until_ms)
    detail = "; ".join(filter(None, (_detail(inbox, decision.reason), f"{ahead} others are ahead of it")))
    return Waiting(Touch.Status.WAITING, decision.reason, until, detail)


def _of_inbox(inbox: Inbox, history: History, now_ms: int) -> Waiting:
    decision = next_allowed(inbox.rules, history, now_ms)
    if decision.reason is None:
        return Waiting(Touch.Status.QUEUED)
    until = None if decision.until_ms is None else utc_from_ms(decision.until_ms)
    return Waiting(Touch.Status.WAITING, decision.reason, until, _detail(inbox, decision.reason))


def _detail(inbox: Inbox, reason: str) -> str:
    """The server's reply that paused or holds the inbox."""
    if reason == PAUSED:
        return inbox.pause_reason
    return inbox.hold_detail if reason in _HOLDS else ""


_MAX_LOGS = 6


@dataclass(frozen=True, slots=True)
class InboxForecast:
    """``text`` is empty when nothing delays the inbox; ``until`` is None when the end of the wait is unknown."""

    inbox: Inbox
    in_flight: int
    text: str
    until: datetime | None


def inbox_forecasts(inboxes: Sequence[Inbox], view: QueueView, now_ms: int) -> list[InboxForecast]:
    """Forecasts in the order of ``inboxes``, for three commands and one for each of the first few that are at a limit;
    for further ones the text does not distinguish limits from touches that are due later."""
    summaries = view.summaries([inbox.pk for inbox in inboxes])
    by_limits = [inbox for inbox in inboxes if _is_held_by_limits(inbox, summaries[inbox.pk], now_ms)][:_MAX_LOGS]
    sends = {inbox.pk: inbox.rules.effective_limits(now_ms / 1000).stamps_needed for inbox in by_limits}
    stamps = view.stamps(sends)
    return [_inbox_forecast(inbox, summaries[inbox.pk], stamps.get(inbox.pk), now_ms) for inbox in inboxes]


def _is_held_by_limits(inbox: Inbox, summary: LaneSummary, now_ms: int) -> bool:
    decision = next_allowed(inbox.rules, History((), summary.in_flight, summary.held_until_ms), now_ms)
    return decision.reason is None and summary.next_ms is not None and summary.next_ms > now_ms


def _inbox_forecast(inbox: Inbox, summary: LaneSummary, stamps: Sequence[int] | None, now_ms: int) -> InboxForecast:
    history = History(stamps or (), summary.in_flight, summary.held_until_ms)
    decision = next_allowed(inbox.rules, history, now_ms)
    is_later = summary.next_ms is not None and summary.next_ms > now_ms
    if decision.reason is not None:
        text = Waiting("", decision.reason, None, redacted(_detail(inbox, decision.reason))).text
        until_ms = decision.until_ms
    elif not is_later:
        return InboxForecast(inbox, summary.in_flight, "", None)
    elif summary.next_ms is not None and summary.next_ms >= NEVER_MS:
        text, until_ms = "Waits for a worker to notice that it may send again, within seconds.", None
    else:
        text = (
            "Waits until its touches are due."
            if stamps is not None
            else "Waits for its limits or until touches are due."
        )
        until_ms = summary.next_ms
    return InboxForecast(inbox, summary.in_flight, text, None if until_ms is None else utc_from_ms(until_ms))


@dataclass(frozen=True, slots=True)
class WaitForecast:
    address: str
    queued: int
    forecast: Forecast


def wait_forecasts(view: QueueView, days: int) -> Iterator[WaitForecast]:
    """A forecast for each inbox with queued touches, the fullest first."""
    now_ms = view.now_ms()
    waiting: dict[int, list[int]] = {}
    queued = Touch.objects.filter(status__in=RESERVABLE).values_list("inbox_id", "due_at", "id", named=True)
    for inbox_id, due_at, _ in itertools.chain.from_iterable(keyset_pages(queued, "id", size=_CHUNK)):
        waiting.setdefault(inbox_id, []).append(0 if due_at is None else round(due_at.timestamp() * 1000))
    inboxes = Inbox.objects.in_bulk(waiting)
    for inbox_id, due_ms in sorted(waiting.items(), key=lambda pair: -len(pair[1])):
        rules = inboxes[inbox_id].rules
        sends = rules.effective_limits(now_ms / 1000).stamps_needed
        history = view.lanes([inbox_id], sends)[inbox_id].history
        yield WaitForecast(inboxes[inbox_id].address, len(due_ms), forecast(rules, history, due_ms, now_ms, days))
