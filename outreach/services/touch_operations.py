"""Operator actions on touches: cancel, redrive, resolve unknown ones, erase a recipient."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Self

from django.db import transaction
from django.db.models import QuerySet

from outreach.domain.touch import recipient_key
from outreach.models import RESERVABLE, Attempt, Suppression, Touch
from outreach.services.inboxes import inbox_named
from outreach.services.intake import push
from outreach.services.suppression import suppress, suppressed_keys
from outreach.store.lanes import Lanes

Status = Touch.Status
_FORGOTTEN = "asked to be forgotten"


def dead_touches(inbox: str | None, reason: str | None, since: datetime | None) -> QuerySet[Touch]:
    """The dead touches of this inbox, whose reason contains this text, that died at or after this time; None matches
    all. Raises LookupError for an unknown inbox."""
    found = Touch.objects.filter(status=Status.DEAD)
    if inbox is not None:
        found = found.filter(inbox=inbox_named(inbox))
    if reason is not None:
        found = found.filter(reason__contains=reason)
    return found if since is None else found.filter(finished_at__gte=since)


class TouchOperations:
    """Each method changes those of the ``touches`` that have the state it applies to, and returns how many; ``now``
    returns Unix seconds."""

    def __init__(self, lanes: Lanes, now: Callable[[], float]) -> None:
        self._lanes = lanes
        self._now = now

    @classmethod
    def connect(cls, now: Callable[[], float]) -> Self:
        return cls(Lanes.connect(), now)

    def cancel(self, touches: QuerySet[Touch]) -> int:
        """Cancels touches that are not in flight."""
        with transaction.atomic():
            rows = list(touches.select_for_update().filter(status__in=RESERVABLE).order_by("inbox_id"))
            cancelled = Touch.objects.filter(pk__in=[row.pk for row in rows])
            cancelled.update(status=Status.CANCELLED, reason="cancelled by an operator")
            transaction.on_commit(lambda: self._withdraw(rows))
        return len(rows)

    def redrive(self, touches: QuerySet[Touch], per_minute: int | None = None) -> int:
        """Requeues dead touches with all their attempts, up to ``per_minute`` a minute; skips suppressed recipients."""
        return self._queue_again(touches, Status.DEAD, per_minute)

    def send_again(self, touches: QuerySet[Touch]) -> int:
        """Requeues unknown touches that an operator found to be undelivered."""
        return self._queue_again(touches, Status.UNKNOWN, None)

    def resolve_as_sent(self, touches: QuerySet[Touch]) -> int:
        """Marks unknown touches as sent that an operator found to be delivered."""
        return touches.filter(status=Status.UNKNOWN).update(
            status=Status.SENT, reason="resolved as sent by an operator"
        )

    def forget(self, recipient: str) -> int:
        """Erases the recipient's address and all contents; only a digest stays, which keeps them suppressed. Returns
        the number of touches erased. A touch in flight is not erased; call it again."""
        key = recipient_key(recipient)
        with transaction.atomic():
            suppress(key, "", _FORGOTTEN, self._lanes)
            Suppression.objects.filter(recipient_key=key).update(recipient="")
            theirs = Touch.objects.filter(recipient_key=key).exclude(status=Status.SENDING)
            Attempt.objects.filter(touch__in=theirs).update(detail="")
            return theirs.update(
                recipient="", subject="", body="", metadata={}, mail=None, draft_digest="", reason=_FORGOTTEN
            )

    def _queue_again(self, touches: QuerySet[Touch], status: Touch.Status, per_minute: int | None) -> int:
        with transaction.atomic():
            rows = list(touches.select_for_update().filter(status=status).exclude(recipient="").order_by("pk"))
            suppressed = suppressed_keys(row.recipient_key for row in rows)
            rows = [row for row in rows if row.recipient_key not in suppressed]
            start = datetime.fromtimestamp(self._now(), UTC)
            for number, row in enumerate(rows):
                row.status, row.tries, row.finished_at, row.reason = (
                    Status.QUEUED,
                    0,
                    None,
                    "queued again by an operator",
                )
                row.due_at = start + timedelta(minutes=number / per_minute) if per_minute else None
            Touch.objects.bulk_update(rows, ["status", "tries", "finished_at", "reason", "due_at"], batch_size=200)
            transaction.on_commit(lambda: push(self._lanes, rows))
        return len(rows)

    def _withdraw(self, rows: list[Touch]) -> None:
        for inbox_id, its in itertools.groupby(rows, key=lambda row: row.inbox_id):
            self._lanes.withdraw(inbox_id, [str(row.pk) for row in its])
