"""Why a touch or an inbox stands where it does, in sentences: by ``waiting``, which asks the rules that decide."""

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

from avo_project.console.registry import Answer
from avo_project.lib.redaction import redacted
from outreach.models import UNFINISHED, Attempt, Inbox, Touch
from outreach.services.waiting import Waiting, inbox_waiting, touch_waiting
from outreach.store.inspection import QueueView

Status = Touch.Status
_HEADLINES = {
    Status.SENT: "was sent",
    Status.DEAD: "is given up",
    Status.UNKNOWN: "may have left, and waits for a person to find out",
    Status.SUPPRESSED: "is not sent: its recipient wants nothing more",
    Status.CANCELLED: "was cancelled",
    Status.SENDING: "is in a worker's hands",
}


def find_touch(text: str) -> Touch | None:
    """The touch of that id, None when there is none."""
    try:
        key = UUID(text)
    except ValueError:
        return None
    return Touch.objects.select_related("inbox").filter(pk=key).first()


def touch_answer(touch: Touch, view: QueueView, may_see_payload: bool) -> Answer:
    """Its state and what led there. Recipient, and what a server said of it, only for who may see payloads."""
    waiting = touch_waiting(touch, view, view.now_ms())
    last = touch.attempts.order_by("-pk").first()
    facts = {
        "status": waiting.status,
        "inbox": touch.inbox.address,
        "tries": str(touch.tries),
        "queued": _moment(touch.created_at),
        "due": _moment(touch.due_at) if touch.due_at else "as soon as its inbox may",
    }
    if touch.finished_at:
        facts["finished"] = _moment(touch.finished_at)
    if may_see_payload:
        facts["recipient"] = touch.recipient or "forgotten"
    headline = _HEADLINES.get(Status(touch.status)) or _wait_headline(waiting)
    reasons = tuple(_shown(reason, may_see_payload) for reason in _touch_reasons(touch, waiting, last))
    return Answer("touch", str(touch.pk), headline, reasons, facts)


def inbox_answer(inbox: Inbox, view: QueueView, may_see_payload: bool) -> Answer:
    """What holds the inbox's next touch. A pause may quote a server that names a recipient."""
    waiting = inbox_waiting(inbox, view, view.now_ms())
    unfinished = inbox.touches.filter(status__in=UNFINISHED).count()
    facts = {
        "touches to send": f"{unfinished:,}",
        "channel": inbox.channel,
        "per minute": str(inbox.per_minute or "no limit"),
        "per day": str(inbox.per_day or "no limit"),
        "gap": f"{inbox.min_gap_seconds:g} s" if inbox.min_gap_seconds else "none",
    }
    reasons = (
        [_shown(waiting.text, may_see_payload)] if waiting.text else ["nothing of its limits, hours or pauses holds it"]
    )
    return Answer(
        "inbox", inbox.address, _wait_headline(waiting) if unfinished else "has nothing to send", reasons, facts
    )


def _wait_headline(waiting: Waiting) -> str:
    if waiting.reason is None:
        return "may go now: the next free worker takes it"
    return f"waits until {_moment(waiting.until)}" if waiting.until else "waits until somebody does something"


def _touch_reasons(touch: Touch, waiting: Waiting, last: Attempt | None) -> Iterator[str]:
    if waiting.text:
        yield waiting.text
    if touch.reason:
        yield f"the ledger says: {touch.reason}"
    if last is not None:
        yield f"its last try ended as {last.outcome} {last.code or ''}: {last.detail or 'nothing was said'}"
    if touch.status == Status.SENDING:
        yield f"worker {touch.worker} took it; a worker that dies loses it to another when its lease ends"


def _shown(reason: str, may_see_payload: bool) -> str:
    return reason if may_see_payload else redacted(reason)


def _moment(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if moment else "unknown"
