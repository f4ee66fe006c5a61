"""Holds of lanes: when a server refuses an inbox for now, nothing of it is sent until the hold ends."""

import logging
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from django.db import transaction

from outreach.domain.reservation import SendResult
from outreach.domain.retry import HoldPolicy
from outreach.models import HOLD_FIELDS, Inbox
from outreach.services.inbox_cache import InboxCache

logger = logging.getLogger(__name__)


class Holds:
    """Holds and releases inboxes by the results of their touches. Holds are rows of the database, so that they
    survive Redis; failures in a row are counted by each worker on its own."""

    def __init__(self, policy: HoldPolicy, inbox_cache: InboxCache) -> None:
        self._policy = policy
        self._inbox_cache = inbox_cache
        self._failures: Counter[int] = Counter()

    def record(self, results: Iterable[SendResult]) -> dict[int, int]:
        """Records the holds that follow from ``results``. Returns the ends in server ms by inbox; 0: released."""
        by_inbox: dict[int, SendResult] = {}
        for result in results:
            inbox_id = result.outgoing.reservation.inbox_id
            if self._changes_hold(result) and (result.outcome.kind != "sent" or inbox_id not in by_inbox):
                by_inbox[inbox_id] = result
        if not by_inbox:
            return {}
        with transaction.atomic():
            rows = list(Inbox.objects.select_for_update().filter(pk__in=by_inbox).order_by("pk"))
            changed = [row for row in rows if self._apply(row, by_inbox[row.pk])]
            for row in changed:
                row.save(update_fields=HOLD_FIELDS)
        self._inbox_cache.refresh()
        return {row.pk: row.held_until_ms for row in changed}

    def _changes_hold(self, result: SendResult) -> bool:
        inbox_id, outcome = result.outgoing.reservation.inbox_id, result.outcome
        if not outcome.is_inbox_failure:
            self._failures.pop(inbox_id, None)
            return outcome.kind == "hold" or (outcome.kind == "sent" and self._was_held(inbox_id))
        self._failures[inbox_id] += 1
        return self._failures[inbox_id] >= self._policy.failures or self._was_held(inbox_id)

    def _was_held(self, inbox_id: int) -> bool:
        return self._inbox_cache[inbox_id].holds > 0

    def _apply(self, row: Inbox, result: SendResult) -> bool:
        """Whether the result changes the hold: not if its touch was in flight when the hold began."""
        outcome = result.outcome
        if result.outgoing.started_at * 1000 < row.held_until_ms:
            return False
        if outcome.kind == "sent":
            row.release()
            return True
        row.holds = min(row.holds + 1, 1000)
        row.hold_reason, row.hold_detail = outcome.hold or "server", outcome.detail[:300]
        seconds = self._policy.hold_seconds(row.hold_reason, row.holds, outcome.retry_after_seconds)
        row.held_until = datetime.fromtimestamp(result.finished_at + seconds, UTC)
        logger.warning(
            "inbox %d (%s) is held until %s for %s: %s",
            row.pk, row.address, row.held_until.isoformat(timespec="seconds"), row.hold_reason, outcome.log_detail,
        )  # fmt: skip
        return True
