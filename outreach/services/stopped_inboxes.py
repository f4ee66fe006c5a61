"""Inboxes with touches to send that are paused or held, by the reply that stopped them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Exists, OuterRef, QuerySet

from avo_project.lib.redaction import redacted
from outreach.models import UNFINISHED, Inbox, Touch

_MOST_TEXTS = 500


@dataclass(frozen=True, slots=True)
class StoppedInboxes:
    """``replies``: how many inboxes each redacted reply stopped, commonest first."""

    inboxes: int
    examples: tuple[str, ...]
    replies: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        """A sentence for the card; empty when no inbox is stopped."""
        if not self.inboxes:
            return ""
        more = f" and {self.inboxes - len(self.examples):,} more" if self.inboxes > len(self.examples) else ""
        reply, count = self.replies[0]
        said = f" Commonest reply ({count:,} of {self.inboxes:,}): {reply}" if reply else ""
        return f"{', '.join(self.examples)}{more}.{said}"


def paused_inboxes() -> StoppedInboxes:
    return _stopped(_with_touches().filter(paused=True), "pause_reason")


def held_inboxes(now: datetime) -> StoppedInboxes:
    return _stopped(_with_touches().filter(paused=False, held_until__gt=now), "hold_detail")


def stopped_by(reply: str) -> list[int]:
    """The ids of the paused and held inboxes that were stopped by this redacted reply."""
    rows = _with_touches().filter(paused=True).values_list("pk", "pause_reason")
    held = _with_touches().filter(paused=False, held_until__isnull=False).values_list("pk", "hold_detail")
    return [pk for pk, text in (*rows, *held) if _shown(text) == _shown(reply)]


def _with_touches() -> QuerySet[Inbox]:
    return Inbox.objects.filter(Exists(Touch.objects.filter(inbox=OuterRef("pk"), status__in=UNFINISHED)))


def _stopped(inboxes: QuerySet[Inbox], field: str) -> StoppedInboxes:
    texts = list(inboxes.values_list(field).annotate(count=Count("pk")).order_by("-count", field)[:_MOST_TEXTS])
    examples = tuple(inboxes.order_by("address").values_list("address", flat=True)[:3]) if texts else ()
    count = inboxes.count() if len(texts) == _MOST_TEXTS else sum(count for _, count in texts)
    return StoppedInboxes(count, examples, _merged(texts))


def _merged(texts: Iterable[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """Replies that differ only in the addresses that they quote are one."""
    merged: Counter[str] = Counter()
    for text, count in texts:
        merged[_shown(text)] += count
    return tuple(merged.most_common())


def _shown(text: str) -> str:
    return " ".join(redacted(text).split())
