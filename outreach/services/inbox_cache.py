"""The worker's cache of inboxes; a refresh reads only changed rows."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from outreach.domain.inbox_rules import NEVER_MS, EffectiveLimits, InboxRules
from outreach.models import Inbox

# A row may become visible this long after its changed_at, and host clocks differ. Reading a row twice is harmless.
_OVERLAP = timedelta(seconds=60)
_MANY = 1000
_QUARTER_HOUR = 900
_PARKED = EffectiveLimits(NEVER_MS, NEVER_MS, ())


@dataclass(frozen=True, slots=True)
class CachedInbox:
    """The part of an inbox that the worker needs."""

    address: str
    channel: str
    url: str
    display_name: str
    reply_to: str
    rules: InboxRules
    held_until_ms: int
    holds: int
    changed_at: datetime


class InboxCache:
    """Rules and addresses by inbox id. ``changed``: inboxes whose lanes must be rechecked; the caller removes them."""

    def __init__(self) -> None:
        self.changed: set[int] = set()
        self._cached: dict[int, CachedInbox] = {}
        self._newest: datetime | None = None
        self._growths_noted_at = 0.0

    def refresh(self) -> None:
        """Reads the inboxes changed since the last call and adds them to ``changed``."""
        self.changed.update(row.pk for row in self._changed_rows() if self._store(row))

    def note_growths(self, now: float) -> None:
        """Adds the inboxes whose warm-up allows more since the last call (Unix seconds) to ``changed``. Looks at every
        quarter of an hour only: offsets of time zones are multiples of it."""
        since, quarter = self._growths_noted_at, now - now % _QUARTER_HOUR
        if since < quarter:
            self._growths_noted_at = now
            warming = ((inbox_id, its.rules.grows_at(since)) for inbox_id, its in self._cached.items() if since)
            self.changed.update(inbox_id for inbox_id, at in warming if at is not None and at <= now)

    def _changed_rows(self) -> Iterable[Inbox]:
        if self._newest is None:
            return Inbox.objects.all()
        lately = Inbox.objects.filter(changed_at__gte=self._newest - _OVERLAP)
        changed = [pk for pk, changed_at in lately.values_list("pk", "changed_at") if self._is_changed(pk, changed_at)]
        if len(changed) > _MANY:
            return lately
        return Inbox.objects.filter(pk__in=changed) if changed else ()

    def __getitem__(self, inbox_id: int) -> CachedInbox:
        """Raises Inbox.DoesNotExist."""
        if inbox_id not in self._cached:
            self._store(Inbox.objects.get(pk=inbox_id))
        return self._cached[inbox_id]

    def __len__(self) -> int:
        return len(self._cached)

    def held_until_ms(self) -> dict[int, int]:
        """The ends of all holds, in server ms."""
        return {inbox_id: its.held_until_ms for inbox_id, its in self._cached.items() if its.held_until_ms}

    def effective_limits(self, inbox_ids: Iterable[int], now: float) -> dict[int, EffectiveLimits]:
        """The limits of these inboxes at ``now`` (Unix seconds); a lane whose inbox was deleted is never due."""
        return {inbox_id: self._effective_limits(inbox_id, now) for inbox_id in inbox_ids}

    def _effective_limits(self, inbox_id: int, now: float) -> EffectiveLimits:
        try:
            return self[inbox_id].rules.effective_limits(now)
        except Inbox.DoesNotExist:
            return _PARKED

    def _is_changed(self, inbox_id: int, changed_at: datetime) -> bool:
        known = self._cached.get(inbox_id)
        return known is None or known.changed_at != changed_at

    def _store(self, row: Inbox) -> bool:
        if not self._is_changed(row.pk, row.changed_at):
            return False
        self._cached[row.pk] = CachedInbox(
            row.address,
            row.channel,
            row.url,
            row.display_name,
            row.reply_to,
            row.rules,
            row.held_until_ms,
            row.holds,
            row.changed_at,
        )
        self._newest = max(self._newest or row.changed_at, row.changed_at)
        return True
