"""The intake of touches: validates them, writes them to the ledger, and enqueues them after the commit."""

import itertools
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self

import orjson
from django.db import transaction
from django.db.models import Q

from avo_project.lib.ndjson import numbered_lines
from avo_project.redis_client.errors import REDIS_FAILURES
from outreach.domain.channels import check_mail, check_recipient
from outreach.domain.fields import TouchError
from outreach.domain.reservation import EnqueueBatch
from outreach.domain.touch import (
    Draft,
    KeyReusedError,
    UnknownInboxError,
    draft_digest,
    new_touch_id,
    parse_draft,
    recipient_key,
)
from outreach.models import Inbox, Touch
from outreach.services.inboxes import InboxNames
from outreach.services.suppression import SUPPRESSED, suppressed_among
from outreach.store.lanes import Lanes

logger = logging.getLogger(__name__)
BATCH = 500
COMMAND_LINE = ""
_COMPARED_FIELDS = ("id", "status", "idempotency_key", "owner", "draft_digest")


@dataclass(frozen=True, slots=True)
class Accepted:
    """A touch in the ledger. ``is_repeat``: it existed under the account's idempotency key; ``is_conflict``: with
    different contents, and the new one was not queued."""

    touch_id: str
    status: str
    is_repeat: bool = False
    is_conflict: bool = False


class Intake:
    """Accepts drafts for an ``owner`` (see ``Touch``); ``now`` returns Unix seconds."""

    def __init__(self, lanes: Lanes, now: Callable[[], float]) -> None:
        self._lanes = lanes
        self._now = now

    @classmethod
    def connect(cls, now: Callable[[], float]) -> Self:
        return cls(Lanes.connect(), now)

    def accept(self, data: object, owner: str = COMMAND_LINE) -> Accepted:
        """Accepts one touch from decoded JSON. Raises TouchError, KeyReusedError."""
        [accepted] = self.accept_drafts([resolve_inbox(parse_draft(data), InboxNames())], owner)
        if accepted.is_conflict:
            raise KeyReusedError
        return accepted

    def accept_drafts(self, drafts: Sequence[tuple[Draft, Inbox]], owner: str = COMMAND_LINE) -> list[Accepted]:
        """Writes checked drafts in one transaction and enqueues them after the commit; one answer each, in order."""
        with transaction.atomic():
            suppressed = suppressed_among(draft.recipient for draft, _ in drafts)
            rows = [self._row(draft, inbox, owner, suppressed) for draft, inbox in drafts]
            kept = _insert(rows)
            transaction.on_commit(lambda: self._push([row for row in rows if kept.get(row.pk) is row]))
        return [_answer(row, kept[row.pk]) for row in rows]

    def _row(self, draft: Draft, inbox: Inbox, owner: str, suppressed: set[str]) -> Touch:
        now = self._now()
        key = recipient_key(draft.recipient)
        is_delayed = draft.not_before is not None and draft.not_before > now
        status = Touch.Status.WAITING if is_delayed else Touch.Status.QUEUED
        return Touch(
            id=new_touch_id(int(now * 1000), secrets.randbits(74)),
            inbox=inbox,
            recipient=draft.recipient,
            recipient_key=key,
            subject=draft.subject,
            body=draft.body,
            metadata=draft.metadata,
            mail=draft.mail.as_json(),
            owner=owner,
            idempotency_key=draft.idempotency_key,
            draft_digest=draft_digest(draft, inbox.pk) if draft.idempotency_key else "",
            status=Touch.Status.SUPPRESSED if key in suppressed else status,
            reason=SUPPRESSED if key in suppressed else "",
            due_at=datetime.fromtimestamp(draft.not_before, UTC) if is_delayed and draft.not_before else None,
            created_at=datetime.fromtimestamp(now, UTC),
        )

    def _push(self, rows: Sequence[Touch]) -> None:
        """Enqueues the touches. If Redis is unavailable, a worker's sweep or reconcile_outreach does so later."""
        try:
            push(self._lanes, rows)
        except REDIS_FAILURES as failure:
            logger.warning("%d touches are in the ledger but not yet in the queue: %s", len(rows), failure)


def resolve_inbox(draft: Draft, inboxes: InboxNames) -> tuple[Draft, Inbox]:
    """Looks up the inbox and converts the recipient and the thread to wire form. Raises TouchError."""
    inbox = inboxes[draft.inbox]
    if inbox is None:
        raise UnknownInboxError
    recipient = check_recipient(draft.recipient, inbox.channel)
    check_mail(draft.mail, inbox.channel)
    return replace(draft, recipient=recipient, mail=draft.mail.resolved(inbox.address)), inbox


def push(lanes: Lanes, rows: Iterable[Touch]) -> None:
    """Enqueues rows of the ledger in their lanes."""
    waiting = (row for row in rows if row.status != Touch.Status.SUPPRESSED)
    in_order = sorted(waiting, key=lambda row: (row.inbox_id, row.pk))
    groups = itertools.groupby(in_order, lambda row: row.inbox_id)
    lanes.enqueue_many(_enqueue_batch(inbox_id, list(group)) for inbox_id, group in groups)


def _enqueue_batch(inbox_id: int, rows: Sequence[Touch]) -> EnqueueBatch:
    delayed = [(str(row.pk), round(row.due_at.timestamp() * 1000)) for row in rows if row.due_at is not None]
    return EnqueueBatch(inbox_id, [str(row.pk) for row in rows if row.due_at is None], delayed)


def _insert(rows: Sequence[Touch]) -> dict[Any, Touch]:
    """Inserts rows whose idempotency key is new. Maps each row's id to the row in the ledger under its key."""
    first: dict[str, Touch] = {}
    for row in rows:
        if row.idempotency_key is not None:
            first.setdefault(row.idempotency_key, row)
    stored = _stored(first)
    new = [
        row
        for row in rows
        if row.idempotency_key is None or (row.idempotency_key not in stored and first[row.idempotency_key] is row)
    ]
    Touch.objects.bulk_create(new, batch_size=BATCH, ignore_conflicts=bool(first))
    if first:  # of two concurrent inserts of a key, the database accepts one
        stored |= {key: row for key, row in _stored(first).items() if row.pk != first[key].pk}
    return {row.pk: stored.get(row.idempotency_key or "", first.get(row.idempotency_key or "", row)) for row in rows}


def _stored(wanted: Mapping[str, Touch]) -> dict[str, Touch]:
    """The owner's rows under the keys of ``wanted``, and identical rows from before owners were recorded."""
    owners = Q(owner__in={row.owner for row in wanted.values()}) | Q(owner=None)
    rows = Touch.objects.filter(owners, idempotency_key__in=list(wanted))
    named = [(row.idempotency_key or "", row) for row in rows.only(*_COMPARED_FIELDS)]
    old = {key: row for key, row in named if row.owner is None and _says_the_same(row, wanted[key])}
    return old | {key: row for key, row in named if row.owner is not None}


def _says_the_same(row: Touch, wanted: Touch) -> bool:
    names = ("inbox_id", "recipient_key", "subject", "body", "metadata", "mail")
    return all(getattr(row, name) == getattr(wanted, name) for name in names)


def _answer(row: Touch, holder: Touch) -> Accepted:
    """A row without a digest is older than digests, and then identical, or was erased: never a conflict."""
    is_repeat = holder is not row
    is_conflict = is_repeat and holder.draft_digest not in ("", row.draft_digest)
    return Accepted(str(holder.pk), holder.status, is_repeat, is_conflict)


@dataclass(frozen=True, slots=True)
class BadLine:
    """A skipped line and its error."""

    number: int
    error: TouchError


def accept_lines(intake: Intake, lines: Iterable[bytes], report: Callable[[BadLine], None]) -> Counter[str]:
    """Accepts NDJSON, ``BATCH`` lines a transaction. Counts ``queued``, ``repeated``, ``suppressed``, ``rejected``."""
    counts: Counter[str] = Counter()
    numbered = numbered_lines(lines)
    while chunk := list(itertools.islice(numbered, BATCH)):
        drafts = dict(_checked(chunk, report))
        counts["rejected"] += len(chunk) - len(drafts)
        for number, accepted in zip(drafts, intake.accept_drafts(list(drafts.values())), strict=True):
            if accepted.is_conflict:
                report(BadLine(number, KeyReusedError()))
            counts[_count_as(accepted)] += 1
    return counts


def _checked(
    chunk: Iterable[tuple[int, bytes]], report: Callable[[BadLine], None]
) -> Iterator[tuple[int, tuple[Draft, Inbox]]]:
    parsed = [(number, _parsed(line)) for number, line in chunk]
    inboxes = InboxNames()
    inboxes.look_up(draft.inbox for _, draft in parsed if isinstance(draft, Draft))
    for number, draft in parsed:
        resolved = draft if isinstance(draft, TouchError) else _resolved(draft, inboxes)
        if isinstance(resolved, TouchError):
            report(BadLine(number, resolved))
        else:
            yield number, resolved


def _parsed(line: bytes) -> Draft | TouchError:
    try:
        return parse_draft(orjson.loads(line))
    except orjson.JSONDecodeError as error:
        return TouchError("line", f"is not JSON: {error}")
    except TouchError as error:
        return error


def _resolved(draft: Draft, inboxes: InboxNames) -> tuple[Draft, Inbox] | TouchError:
    try:
        return resolve_inbox(draft, inboxes)
    except TouchError as error:
        return error


def _count_as(accepted: Accepted) -> str:
    if accepted.is_conflict:
        return "rejected"
    if accepted.is_repeat:
        return "repeated"
    return "suppressed" if accepted.status == Touch.Status.SUPPRESSED else "queued"
