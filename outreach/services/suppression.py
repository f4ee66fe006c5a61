"""Suppressed recipients, their queued touches, and unsubscribe tokens."""

import itertools
import re
from collections.abc import Iterable
from operator import itemgetter
from uuid import UUID

from django.core.signing import BadSignature, Signer
from django.db import transaction

from outreach.domain.touch import idna_2003_key, recipient_key
from outreach.models import RESERVABLE, Suppression, Touch
from outreach.store.lanes import Lanes

SUPPRESSED = "the recipient is suppressed"
_REFUSED = "refused for good"
_HEX_ID = re.compile("[0-9a-f]{32}")


def suppressed_keys(recipient_keys: Iterable[str]) -> set[str]:
    """The suppressed ones of these keys (``touch.recipient_key``)."""
    return set(
        Suppression.objects.filter(recipient_key__in=set(recipient_keys)).values_list("recipient_key", flat=True)
    )


def suppressed_among(recipients: Iterable[str]) -> set[str]:
    """The keys of those ``recipients`` who are suppressed, also by a suppression from the time of IDNA 2003."""
    former = {recipient_key(one): idna_2003_key(one) for one in recipients}
    found = suppressed_keys(former)
    wanted = {key for key in former.values() if key is not None}
    if wanted:
        covering = Suppression.objects.filter(recipient_key__in=wanted, is_idna_2003=True)
        old = set(covering.values_list("recipient_key", flat=True))
        found |= {key for key, its_former in former.items() if its_former in old}
    return found


def suppress(key: str, recipient: str, reason: str, lanes: Lanes) -> int:
    """Suppresses a recipient and their queued touches; returns the number of touches stopped."""
    with transaction.atomic():
        Suppression.objects.get_or_create(recipient_key=key, defaults={"recipient": recipient, "reason": reason[:300]})
        waiting = (
            Touch.objects.select_for_update().filter(recipient_key=key, status__in=RESERVABLE).order_by("inbox_id")
        )
        stopped = list(waiting.values_list("inbox_id", "id"))
        waiting.update(status=Touch.Status.SUPPRESSED, reason=reason[:500])
        transaction.on_commit(lambda: _withdraw(lanes, stopped))
    return len(stopped)


def suppress_recipient(recipient: str, reason: str, lanes: Lanes) -> int:
    """As ``suppress``, for an address in any spelling."""
    return suppress(recipient_key(recipient), recipient, reason, lanes)


def suppress_refused(touch_id: str, code: int) -> None:
    """Suppresses the recipient of a touch whom a server refused for good with ``code``."""
    row = Touch.objects.only("recipient", "recipient_key").get(pk=touch_id)
    Suppression.objects.get_or_create(
        recipient_key=row.recipient_key, defaults={"recipient": row.recipient, "reason": f"{_REFUSED}: {code}"}
    )


def lift_refusals(recipient_keys: Iterable[str]) -> int:
    """Undoes suppressions that refusals caused, and requeues what they stopped; a worker's sweep puts it back into its
    lanes. Unsubscribed recipients stay suppressed. Returns how many were lifted."""
    found = Suppression.objects.filter(recipient_key__in=set(recipient_keys), reason__startswith=_REFUSED)
    keys = list(found.values_list("recipient_key", flat=True))
    Suppression.objects.filter(recipient_key__in=keys).delete()
    stopped = Touch.objects.filter(recipient_key__in=keys, status=Touch.Status.SUPPRESSED, reason=SUPPRESSED)
    stopped.update(status=Touch.Status.QUEUED, reason="")
    return len(keys)


def lift_suppression(recipient: str) -> list[int]:
    """Lifts the suppression of a recipient in any spelling; returns the ids of the rows. What it stopped stays so."""
    keys = {recipient_key(recipient): False, idna_2003_key(recipient): True}
    rows = Suppression.objects.filter(recipient_key__in=[key for key in keys if key is not None])
    lifted = [row.pk for row in rows if row.is_idna_2003 or not keys[row.recipient_key]]
    Suppression.objects.filter(pk__in=lifted).delete()
    return lifted


def unsubscribe_token(touch_id: str) -> str:
    """The token of an unsubscribe link: the touch's id, signed, so that it cannot be forged."""
    return _signer().sign(UUID(touch_id).hex)


def touch_of_token(token: str) -> Touch | None:
    """The touch of an unsubscribe token, or None for an invalid token."""
    try:
        hex_id = _signer().unsign(token)
    except BadSignature:
        return None
    return Touch.objects.filter(pk=UUID(hex_id)).first() if _HEX_ID.fullmatch(hex_id) else None


def _signer() -> Signer:
    return Signer(sep=".", salt="outreach.unsubscribe")


def _withdraw(lanes: Lanes, stopped: list[tuple[int, UUID]]) -> None:
    for inbox_id, pairs in itertools.groupby(stopped, key=itemgetter(0)):
        lanes.withdraw(inbox_id, [str(touch_id) for _, touch_id in pairs])
