"""Pauses an inbox whose recipients are refused one after the other, and undoes their suppressions."""

import itertools
import logging
from collections.abc import Iterable

from outreach.domain.refusals import FINAL_KINDS, RefusalLimits
from outreach.domain.reservation import SendResult
from outreach.models import Attempt, Inbox
from outreach.services.suppression import lift_refusals

logger = logging.getLogger(__name__)
_MOST_READ = 200
_WHY = "recipients in a row were refused for good, the last with"


class RefusalGuard:
    """Reads the last attempts of an inbox after each refusal, so that all workers count together."""

    def __init__(self, limits: RefusalLimits) -> None:
        self._limits = limits

    def check(self, results: Iterable[SendResult]) -> None:
        """Pauses the inboxes of refused results that reach a limit, in the transaction that records the results.
        Touches that were in flight then may be refused too; their suppressions are undone as well."""
        refused = [result for result in results if result.outcome.kind in {"suppress", "give_up"}]
        last = {result.outgoing.reservation.inbox_id: result for result in refused}
        for inbox in Inbox.objects.select_for_update().filter(pk__in=last).order_by("pk"):
            run = _refused_in_a_row(inbox)
            if run and (_WHY in inbox.pause_reason if inbox.paused else self._limits.is_reached(_kinds(run))):
                self._pause(inbox, run, last[inbox.pk].outcome.log_detail)

    def _pause(self, inbox: Inbox, run: list[Attempt], reply: str) -> None:
        lifted = lift_refusals(one.touch.recipient_key for one in run if one.outcome == "suppress")
        inbox.guarded_attempt = max(one.pk for one in run)
        if not inbox.paused:
            recipients = len({one.touch.recipient_key for one in run})
            inbox.paused, inbox.pause_reason = True, f"{recipients} {_WHY}: {reply}"[:300]
            logger.warning("inbox %d (%s) is paused, %s", inbox.pk, inbox, inbox.pause_reason)
        logger.warning("inbox %d: %d suppressions are undone", inbox.pk, lifted)
        inbox.save(update_fields=["paused", "pause_reason", "guarded_attempt", "changed_at"])


def _kinds(run: list[Attempt]) -> list[tuple[str, str]]:
    return [(one.outcome, one.touch.recipient_key) for one in run]


def _refused_in_a_row(inbox: Inbox) -> list[Attempt]:
    """The refused attempts since the last send, newest first, and since the guard last paused the inbox."""
    attempts = Attempt.objects.filter(inbox=inbox, pk__gt=inbox.guarded_attempt, outcome__in=FINAL_KINDS)
    newest = attempts.select_related("touch").order_by("-finished_at", "-pk")
    read = newest.only("outcome", "touch__recipient_key")[:_MOST_READ]
    return list(itertools.takewhile(lambda one: one.outcome != "sent", read))
