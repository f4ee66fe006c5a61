"""Transitions of touches in the database. Every write checks the fence token, so that states only move forward."""

import itertools
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from operator import attrgetter

from django.core.exceptions import ObjectDoesNotExist
from django.db import DataError, IntegrityError, transaction
from django.db.models import F

from avo_project.lib.redaction import redacted
from outreach.domain.mail_parts import MailParts
from outreach.domain.reservation import (
    BEHIND,
    ClaimResult,
    LeaseOwner,
    Outcome,
    Outgoing,
    Reservation,
    SendResult,
    SettledTouch,
    Settlement,
)
from outreach.domain.retry import RetryPolicy, retry_delay_seconds
from outreach.models import RESERVABLE, UNFINISHED, Attempt, Inbox, Touch
from outreach.services.inbox_cache import InboxCache
from outreach.services.refusal_guard import RefusalGuard
from outreach.services.suppression import SUPPRESSED, suppress_refused, suppressed_keys

logger = logging.getLogger(__name__)
_ROW_ERRORS = (IntegrityError, DataError, ObjectDoesNotExist)  # caused by one result; other errors are the database's
_PAYLOAD = ("recipient", "recipient_key", "subject", "body", "metadata", "mail")
_FIELDS = ("id", "status", "token", "tries", "due_at", "started_at", *_PAYLOAD)
Status = Touch.Status
# A late result of a touch that another worker marked unknown is still valid, unless it was sent again.
_IN_FLIGHT = (Status.SENDING, Status.UNKNOWN)


class Ledger:
    """Claims, settles and recovers touches for one worker; ``random`` returns 0..1 for the jitter."""

    def __init__(
        self,
        lease_owner: LeaseOwner,
        inbox_cache: InboxCache,
        policy: RetryPolicy,
        guard: RefusalGuard,
        random: Callable[[], float],
    ) -> None:
        self._lease_owner = lease_owner
        self._inbox_cache = inbox_cache
        self._policy = policy
        self._guard = guard
        self._random = random

    def claim(self, reservations: Sequence[Reservation], now: float) -> ClaimResult:
        """Marks touches as ``sending`` before they are handed to a server; refuses those that must not be sent."""
        if not reservations:
            return ClaimResult((), (), 0)
        by_id = {one.touch_id: one for one in reservations}
        with transaction.atomic():
            rows = {str(row.pk): row for row in Touch.objects.select_for_update().filter(pk__in=by_id).only(*_FIELDS)}
            suppressed = suppressed_keys(row.recipient_key for row in rows.values() if row.status in RESERVABLE)
            sendable = [one for one in reservations if _is_sendable(rows.get(one.touch_id), one.token, suppressed)]
            self._start(sendable, now)
            stopped = self._stop_suppressed(rows.values(), suppressed)
        later_ms = round((now + self._lease_owner.lease_seconds) * 1000)
        taken = {one.touch_id for one in sendable}
        refused = (
            _refused_settlement(one, rows.get(one.touch_id), later_ms, suppressed)
            for one in reservations
            if one.touch_id not in taken
        )
        return ClaimResult(
            tuple(self._outgoing(one, rows[one.touch_id], now) for one in sendable), tuple(refused), stopped
        )

    def settle(self, results: Sequence[SendResult], now: float) -> list[SettledTouch]:
        """Writes results in one transaction; if the database rejects one of them, each in its own transaction."""
        try:
            return self._settle(results, now)
        except _ROW_ERRORS as refusal:
            if len(results) == 1:
                return [self._settle_refused(results[0], refusal, now)]
            return [written for result in results for written in self.settle([result], now)]

    def recover(self, reservations: Sequence[Reservation], now: float) -> list[Settlement]:
        """Settles touches of expired workers: ``sending`` becomes ``unknown``, others are requeued first."""
        by_id = {one.touch_id: one for one in reservations}
        with transaction.atomic():
            rows = list(Touch.objects.select_for_update().filter(pk__in=by_id))
            in_flight = [row for row in rows if row.status == Status.SENDING and row.token < by_id[str(row.pk)].token]
            self._mark_unknown(in_flight, now)
        waiting = {str(row.pk): row for row in rows if row.status in RESERVABLE}
        lost = {str(row.pk) for row in in_flight}
        return [_recovery(one, waiting.get(one.touch_id), 0 if one.touch_id in lost else None) for one in reservations]

    def _settle(self, results: Sequence[SendResult], now: float) -> list[SettledTouch]:
        with transaction.atomic():
            self._record(results)
            self._mark_sent([result for result in results if result.outcome.kind == "sent"])
            settled = [self._settled_result(result, now) for result in results]
            self._guard.check(results)
            return settled

    def _settle_refused(self, result: SendResult, refusal: Exception, now: float) -> SettledTouch:
        """Marks the touch ``unknown``, without the rejected data; if that fails too, it only leaves the queue."""
        _log_refused_result(result, refusal, "marked unknown")
        why = Outcome("unknown", detail=f"the database rejected the result {result.outcome.kind}")
        try:
            return self._settle([replace(result, outcome=why)], now)[0]
        except _ROW_ERRORS as again:
            _log_refused_result(result, again, "removed from the queue")
            return SettledTouch(Status.UNKNOWN, _settlement(result, None, now))

    def _outgoing(self, reservation: Reservation, row: Touch, now: float) -> Outgoing:
        inbox = self._inbox_cache[reservation.inbox_id]
        return Outgoing(
            reservation=reservation,
            channel=inbox.channel,
            sender_address=inbox.address,
            url=inbox.url,
            recipient=row.recipient,
            subject=row.subject,
            body=row.body,
            tries=row.tries + 1,
            started_at=now,
            metadata=row.metadata,
            mail=MailParts.from_json(row.mail).with_defaults(inbox.display_name, inbox.reply_to),
        )

    def _start(self, sendable: Iterable[Reservation], now: float) -> None:
        for token, group in itertools.groupby(sorted(sendable, key=attrgetter("token")), key=attrgetter("token")):
            Touch.objects.filter(pk__in=[one.touch_id for one in group]).update(
                status=Status.SENDING,
                token=token,
                worker=self._lease_owner.worker,
                tries=F("tries") + 1,
                started_at=_utc(now),
                due_at=None,
            )

    def _stop_suppressed(self, rows: Iterable[Touch], suppressed: set[str]) -> int:
        stopped = [row.pk for row in rows if row.recipient_key in suppressed and row.status in RESERVABLE]
        if stopped:
            Touch.objects.filter(pk__in=stopped).update(status=Status.SUPPRESSED, reason=SUPPRESSED)
        return len(stopped)

    def _record(self, results: Iterable[SendResult]) -> None:
        Attempt.objects.bulk_create(
            Attempt(
                touch_id=result.outgoing.touch_id,
                inbox_id=result.outgoing.reservation.inbox_id,
                outcome=result.outcome.kind,
                reply_class=result.outcome.reply_class,
                code=result.outcome.code,
                detail=result.outcome.detail,
                worker=self._lease_owner.worker,
                started_at=_utc(result.outgoing.started_at),
                finished_at=_utc(result.finished_at),
            )
            for result in results
        )

    def _mark_sent(self, results: Sequence[SendResult]) -> None:
        for token, group in itertools.groupby(sorted(results, key=_token), key=_token):
            mine = list(group)
            Touch.objects.filter(
                pk__in=[one.outgoing.touch_id for one in mine], token=token, status__in=_IN_FLIGHT
            ).update(status=Status.SENT, reason="", finished_at=_utc(max(one.finished_at for one in mine)))

    def _settled_result(self, result: SendResult, now: float) -> SettledTouch:
        status, due_at = (Status.SENT, None) if result.outcome.kind == "sent" else self._mark_failed(result)
        return SettledTouch(status, _settlement(result, due_at, now))

    def _mark_failed(self, result: SendResult) -> tuple[Status, datetime | None]:
        outgoing, outcome = result.outgoing, result.outcome
        status, delay = self._failed_state(result)
        due_at = None if delay is None else _utc(result.finished_at + delay)
        is_final = delay is None and not outcome.is_inbox_refused
        if outcome.kind == "suppress":
            suppress_refused(outgoing.touch_id, outcome.code)
        if outcome.kind == "pause":
            self._pause(outgoing.reservation.inbox_id, outcome)
        Touch.objects.filter(pk=outgoing.touch_id, token=outgoing.reservation.token, status__in=_IN_FLIGHT).update(
            status=status,
            reason=outcome.detail,
            tries=outgoing.tries - outcome.is_inbox_refused,
            due_at=due_at,
            finished_at=_utc(result.finished_at) if is_final else None,
        )
        return status, due_at

    def _failed_state(self, result: SendResult) -> tuple[Status, float | None]:
        """The state after a failure, and the seconds until the touch is due again (None: when its inbox may send, or
        never)."""
        outcome = result.outcome
        if outcome.kind == "retry":
            delay = retry_delay_seconds(self._policy, result.outgoing.tries, self._random, outcome.retry_after_seconds)
            return (Status.DEAD, None) if delay is None else (Status.RETRYING, delay)
        if outcome.is_inbox_refused:
            return Status.WAITING, None
        return (Status.UNKNOWN if outcome.kind == "unknown" else Status.DEAD), None

    def _pause(self, inbox_id: int, outcome: Outcome) -> None:
        inbox = Inbox.objects.get(pk=inbox_id)
        if not inbox.paused:
            logger.warning("inbox %d (%s) is paused, %s: %s", inbox_id, inbox, outcome.reply_class, outcome.log_detail)
        inbox.paused, inbox.pause_reason = True, outcome.detail[:300]
        inbox.save(update_fields=["paused", "pause_reason", "changed_at"])

    def _mark_unknown(self, rows: Sequence[Touch], now: float) -> None:
        why = "the worker died during the send: it may have been delivered"
        Attempt.objects.bulk_create(
            Attempt(
                touch=row, inbox_id=row.inbox_id, outcome="unknown", detail=why, worker=row.worker,
                started_at=row.started_at or _utc(now), finished_at=_utc(now),
            )
            for row in rows
        )  # fmt: skip
        Touch.objects.filter(pk__in=[row.pk for row in rows]).update(
            status=Status.UNKNOWN, reason=why, finished_at=_utc(now)
        )


def _is_sendable(row: Touch | None, token: int, suppressed: set[str]) -> bool:
    if row is None or row.status not in RESERVABLE or row.token >= token:
        return False
    return row.recipient_key not in suppressed


def _refused_settlement(one: Reservation, row: Touch | None, later_ms: int, suppressed: set[str]) -> Settlement:
    """Removes finished, suppressed and unknown rows from the queue; rechecks later what another worker is sending."""
    if row is None or row.status not in UNFINISHED or row.recipient_key in suppressed:
        return Settlement(one)
    return Settlement(one, due_ms=later_ms)


def _recovery(one: Reservation, row: Touch | None, sent_ago_ms: int | None) -> Settlement:
    if row is None:
        return Settlement(one, sent_ago_ms=sent_ago_ms)
    return Settlement(one, due_ms=round(row.due_at.timestamp() * 1000) if row.due_at else 0)


def _settlement(result: SendResult, due_at: datetime | None, now: float) -> Settlement:
    """A touch of a refused inbox waits behind the others, so that one that is refused for its own sake stops none."""
    due_ms = None if due_at is None else round(due_at.timestamp() * 1000)
    ago_ms = max(0, round((now - result.finished_at) * 1000))
    return Settlement(
        result.outgoing.reservation,
        BEHIND if result.outcome.is_inbox_refused else due_ms,
        sent_ago_ms=ago_ms if result.outcome.is_handed_over else None,
    )


def _log_refused_result(result: SendResult, refusal: Exception, so: str) -> None:
    touch_id, kind = result.outgoing.touch_id, result.outcome.kind
    why = redacted(str(refusal)).partition("\n")[0]  # further lines of PostgreSQL's message quote the row
    logger.error("touch %s: the database rejected the result %s, %s: %s", touch_id, kind, so, why)


def _token(result: SendResult) -> int:
    return result.outgoing.reservation.token


def _utc(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, UTC)
