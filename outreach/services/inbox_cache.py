"""The worker's copy of the inboxes, kept fresh by asking the database only for what changed."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from outreach.domain.inbox_rules import NEVER_MS, EffectiveLimits, InboxRules
from outreach.models import Inbox

# A row may become visible this long after the time it carries, and clocks of hosts differ; read again, it does no harm.
_OVERLAP = timedelta(seconds=60)
_MANY = 1000
_PARKED = EffectiveLimits(NEVER_MS, NEVER_MS, ())


@dataclass(frozen=True, slots=True)
class KnownInbox:
    """What the worker needs of an inbox."""

    address: str
    channel: str
    url: str
    rules: InboxRules
    changed_at: datetime


class InboxCache:
    """Rules and addresses by inbox id. ``changed``: inboxes whose lanes are to be looked at again, until taken out."""

    def __init__(self) -> None:
        self.changed: set[int] = set()
        self._known: dict[int, KnownInbox] = {}
        self._newest: datetime | None = None

    def refresh(self) -> None:
        """Reads what changed since the last call and adds it to ``changed``."""
        self.changed.update(row.pk for row in self._news() if self._note(row))

    def _news(self) -> Iterable[Inbox]:
        if self._newest is None:
            return Inbox.objects.all()
        lately = Inbox.objects.filter(changed_at__gte=self._newest - _OVERLAP)
        changed = [pk for pk, changed_at in lately.values_list("pk", "changed_at") if self._is_news(pk, changed_at)]
        if len(changed) > _MANY:
            return lately
        return Inbox.objects.filter(pk__in=changed) if changed else ()

    def __getitem__(self, inbox_id: int) -> KnownInbox:
        """Raises Inbox.DoesNotExist."""
        if inbox_id not in self._known:
            self._note(Inbox.objects.get(pk=inbox_id))
        return self._known[inbox_id]

    def __len__(self) -> int:
        return len(self._known)

    def terms(self, inbox_ids: Iterable[int], now: float) -> dict[int, EffectiveLimits]:
        """The terms of these inboxes at ``now`` (Unix seconds); a lane whose inbox is gone is parked."""
        return {inbox_id: self._terms(inbox_id, now) for inbox_id in inbox_ids}

    def _terms(self, inbox_id: int, now: float) -> EffectiveLimits:
        try:
            return self[inbox_id].rules.terms(now)
        except Inbox.DoesNotExist:
            return _PARKED

    def _is_news(self, inbox_id: int, changed_at: datetime) -> bool:
        known = self._known.get(inbox_id)
        return known is None or known.changed_at != changed_at

    def _note(self, row: Inbox) -> bool:
        if not self._is_news(row.pk, row.changed_at):
            return False
        self._known[row.pk] = KnownInbox(row.address, row.channel, row.url, row.rules, row.changed_at)
        self._newest = max(self._newest or row.changed_at, row.changed_at)
        return True
