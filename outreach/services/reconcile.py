"""Compares the ledger with the queue and requeues what Redis lost. Safe to run twice and while workers send: the ledger
refuses a touch that is queued a second time."""

import itertools
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter

from django.db.models import Count, Max, QuerySet

from outreach.domain.inbox_rules import DAY_MS, MOST_SENDS
from outreach.domain.reservation import HANDED_OVER, Reservation, Settlement
from outreach.domain.reservation_plan import SweepBacklog
from outreach.domain.touch import new_touch_id
from outreach.models import RESERVABLE, UNFINISHED, Attempt, Inbox, Touch
from outreach.services.intake import push
from outreach.services.keyset import keyset_pages
from outreach.store import inspection
from outreach.store.lanes import Lanes

_CHUNK = 1000
_MOST_TOGETHER = 20_000


@dataclass(frozen=True, slots=True)
class Reconciled:
    """Unfinished touches in the ledger, and how many of them were requeued (``back``) or got a lease (``adopted``)."""

    unfinished: int
    back: int
    adopted: int


class Reconciler:
    """``lease_ms``: the lease restored to touches in flight, within which their workers can still settle them."""

    def __init__(self, lanes: Lanes, view: inspection.QueueView, lease_ms: int) -> None:
        self._lanes = lanes
        self._view = view
        self._lease_ms = lease_ms

    def restore_if_lost(self, now: float) -> Reconciled:
        """As ``reconcile_all``, unless another worker has done it."""
        return Reconciled(0, 0, 0) if self._view.is_initialised() else self.reconcile_all(now)

    def reconcile_all(self, now: float) -> Reconciled:
        """Reconciles every inbox. After data loss it restores the logs of sends and the holds first, so that limits
        hold, then the leases of touches in flight, then the lanes; nothing is reserved before all are restored."""
        adopted = 0 if self._view.is_initialised() else self._restore_after_loss(now)
        held = self._view.reserved_ids()
        done = [self._requeue_missing(inbox_ids, held) for inbox_ids in _groups(_counts(Touch.objects.all()))]
        newest = Touch.objects.aggregate(newest=Max("token"))["newest"] or 0
        self._lanes.mark_initialised(newest)
        return Reconciled(
            sum(one.unfinished for one in done),
            sum(one.back for one in done),
            sum(one.adopted for one in done) + adopted,
        )

    def _restore_after_loss(self, now: float) -> int:
        in_flight = list(Touch.objects.filter(status=Touch.Status.SENDING).only("id", "inbox_id", "token"))
        self._restore_logs(now)
        for inbox in Inbox.objects.filter(held_until__gt=datetime.fromtimestamp(now, UTC)):
            self._lanes.recheck(inbox.pk, inbox.held_until_ms)
        return self._adopt(in_flight, is_lost=True)

    def sweep(self, now: float, older_than_seconds: float) -> int:
        """The cheap form for a running worker: requeues only for inboxes with fewer touches in the queue than in the
        ledger. Ignores touches younger than ``older_than_seconds``, which intake may still be enqueueing. Returns the
        number of inboxes compared.
        """
        return self._compare(_older(now - older_than_seconds))

    def sweep_recent(self, now: float, older_than_seconds: float, since: float, backlog: SweepBacklog) -> int:
        """As ``sweep``, for inboxes with touches created after ``since`` (Unix seconds): at once for those without a
        lane, and through the ``backlog`` for the others."""
        before = now - older_than_seconds
        arrived = list(_created_between(since, before).values_list("inbox_id", flat=True).distinct().order_by())
        without_lane = self._view.without_lane(arrived)
        backlog.add(arrived)
        backlog.remove(without_lane)
        wanted = [*without_lane, *backlog.take(now)]
        pieces = (wanted[start : start + _CHUNK] for start in range(0, len(wanted), _CHUNK))
        return sum(self._compare(_older(before).filter(inbox_id__in=piece)) for piece in pieces)

    def _compare(self, touches: QuerySet[Touch]) -> int:
        expected = _counts(touches)
        held = self._view.depths(expected)
        short = {inbox_id: count for inbox_id, count in expected.items() if held[inbox_id] < count}
        if short:
            reserved = self._view.reserved_ids()
            for inbox_ids in _groups(short):
                self._requeue_missing(inbox_ids, reserved)
        return len(expected)

    def _requeue_missing(self, inbox_ids: Sequence[int], held: set[str]) -> Reconciled:
        known = self._view.queued_ids(inbox_ids) | held
        unfinished = back = adopted = 0
        for rows in _unfinished(inbox_ids):
            missing = [row for row in rows if str(row.pk) not in known]
            sending = [row for row in missing if row.status == Touch.Status.SENDING]
            waiting = [row for row in missing if row.status in RESERVABLE]
            adopted += self._adopt(sending, is_lost=False)
            push(self._lanes, waiting)
            unfinished, back = unfinished + len(rows), back + len(waiting)
        return Reconciled(unfinished, back, adopted)

    def _adopt(self, rows: Sequence[Touch], *, is_lost: bool) -> int:
        """Restores the leases of touches in flight. One that was settled meanwhile would stay in flight for ever, so
        the ledger is read again afterwards; after data loss its send is not in a log yet."""
        by_inbox = itertools.groupby(sorted(rows, key=lambda row: row.inbox_id), key=lambda row: row.inbox_id)
        return sum(self._adopt_for_inbox(inbox_id, list(its), is_lost=is_lost) for inbox_id, its in by_inbox)

    def _adopt_for_inbox(self, inbox_id: int, rows: Sequence[Touch], *, is_lost: bool) -> int:
        held = {row.pk: Reservation(str(row.pk), inbox_id, row.token) for row in rows}
        adopted = self._lanes.adopt(inbox_id, self._lease_ms, held.values())
        still = set(Touch.objects.filter(pk__in=held, status=Touch.Status.SENDING).values_list("pk", "token"))
        sent_ago_ms = 0 if is_lost else None
        gone = [Settlement(one, sent_ago_ms=sent_ago_ms) for pk, one in held.items() if (pk, one.token) not in still]
        return adopted - self._lanes.settle(gone)

    def _restore_logs(self, now: float) -> None:
        since = datetime.fromtimestamp(now, UTC) - timedelta(milliseconds=DAY_MS)
        handed_over = Attempt.objects.filter(finished_at__gte=since, outcome__in=HANDED_OVER)
        recent = handed_over.values_list("inbox_id", "finished_at", "id", named=True)
        pages = keyset_pages(recent, "inbox_id", "finished_at", "id", size=_CHUNK)
        for inbox_id, its in itertools.groupby(itertools.chain.from_iterable(pages), key=itemgetter(0)):
            newest = deque((round(send.finished_at.timestamp() * 1000) for send in its), MOST_SENDS)
            self._lanes.restore_log(inbox_id, list(newest))


def _counts(touches: QuerySet[Touch]) -> dict[int, int]:
    """The number of unfinished touches per inbox."""
    counted = touches.filter(status__in=UNFINISHED).values_list("inbox_id").annotate(count=Count("*"))
    return dict(counted.order_by("inbox_id"))


def _older(before: float) -> QuerySet[Touch]:
    return Touch.objects.filter(created_at__lt=datetime.fromtimestamp(before, UTC))


def _created_between(start: float, end: float) -> QuerySet[Touch]:
    """Selects by the time in their ids, which are indexed."""
    first, last = (new_touch_id(round(at * 1000), 0) for at in (start, end))
    return Touch.objects.filter(pk__gte=first, pk__lt=last, status__in=UNFINISHED)


def _groups(counts: Mapping[int, int]) -> Iterator[list[int]]:
    """Groups of inboxes to compare together: a thousand, or fewer with many touches."""
    group: list[int] = []
    touches = 0
    for inbox_id, count in counts.items():
        if group and (len(group) == _CHUNK or touches + count > _MOST_TOGETHER):
            yield group
            group, touches = [], 0
        group.append(inbox_id)
        touches += count
    if group:
        yield group


def _unfinished(inbox_ids: Sequence[int]) -> Iterator[list[Touch]]:
    rows = Touch.objects.filter(inbox_id__in=inbox_ids, status__in=UNFINISHED)
    return keyset_pages(rows.only("id", "inbox_id", "status", "token", "due_at"), "id", size=_CHUNK)
