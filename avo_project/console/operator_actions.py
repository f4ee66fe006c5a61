"""Writes down what an operator did: for the admin's own log and for the append-only audit."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.db.models.options import Options
from django.http import HttpRequest, QueryDict
from redis.exceptions import RedisError

from avo_project.models import OperatorAction
from avo_project.redaction import redacted

logger = logging.getLogger(__name__)

_PLUMBING = {"csrfmiddlewaretoken", "confirmed", "reason"}


@dataclass(frozen=True, slots=True)
class Effect:
    """What an action would do or has done, as a sentence, and to how many; None where nobody can count."""

    text: str
    how_many: int | None = None


@dataclass(frozen=True, slots=True)
class Deed:
    """One action as it is written down; ``subject`` is what it was done to, in words."""

    label: str
    subject: str
    reason: str
    effect: Effect
    has_failed: bool = False


def record(
    request: HttpRequest, page: "Options[Model]", deed: Deed, rows: Sequence[Model] = (), flag: int = CHANGE
) -> None:
    """One audit row, and in the admin's log one entry for the page or one for each of ``rows``."""
    write_down(request, page, deed)
    user, message = request.user, f"{deed.label}: {deed.effect.text}"
    if rows:
        LogEntry.objects.log_actions(user.pk or 0, rows, flag, change_message=message)
        return
    LogEntry.objects.create(
        user_id=user.pk or 0,
        content_type=ContentType.objects.get_for_model(page.model, for_concrete_model=False),
        object_repr=f"{deed.label}: {deed.subject}"[:200] if deed.subject else deed.label,
        action_flag=flag,
        change_message=message,
    )


def write_down(request: HttpRequest, page: "Options[Model]", deed: Deed) -> None:
    """The audit row alone. Whatever address or token the reason quotes is taken out of it."""
    OperatorAction.objects.create(
        user_id=request.user.pk,
        username=request.user.get_username(),
        role=page.app_label,
        action=deed.label[:100],
        subject=deed.subject[:500],
        reason=redacted(deed.reason)[:300],
        how_many=deed.effect.how_many,
        outcome=OperatorAction.Outcome.FAILED if deed.has_failed else OperatorAction.Outcome.SUCCEEDED,
        message=deed.effect.text[:500],
    )


def failed(label: str, error: Exception) -> Effect:
    """What to tell of an action that raised. What was refused, or could not be done now, is logged in a line; a bug
    with its trace."""
    if isinstance(error, ValueError | LookupError | RedisError):
        logger.warning("admin action %s failed: %s", label, error)
    else:
        logger.error("admin action %s failed", label, exc_info=error)
    return Effect(redacted(f"{label} failed: {error}")[:500], 0)


def tell(page: Any, request: HttpRequest, effect: Effect, *, has_failed: bool) -> None:
    """On the next page that the operator sees; ``page`` is a ModelAdmin."""
    page.message_user(request, effect.text, messages.ERROR if has_failed else messages.SUCCESS)


def subject_of(fields: QueryDict, inputs: Collection[str]) -> str:
    """What a posted form names, for example ``group: apex-group; entry_id: 1-0``. The action's own ``inputs`` stand as
    they were typed, the rest without addresses and secrets."""
    named = ((name, value) for name, value in fields.items() if name not in _PLUMBING and value)
    return "; ".join(f"{name}: {value if name in inputs else redacted(str(value))}" for name, value in named)
