"""Writes down what an operator did: for the admin's own log and for the append-only audit."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.db.models.options import Options
from django.http import HttpRequest, QueryDict
from redis.exceptions import RedisError

from avo_project.models import OperatorAction

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


def record(request: HttpRequest, page: "Options[Model]", deed: Deed, rows: Sequence[Model] = ()) -> None:
    """One audit row, and in the admin's log one entry for the page or one for each of ``rows``."""
    user = request.user
    message = f"{deed.label}: {deed.effect.text}"
    OperatorAction.objects.create(
        user_id=user.pk,
        username=user.get_username(),
        role=page.app_label,
        action=deed.label,
        subject=deed.subject[:500],
        reason=deed.reason[:300],
        how_many=deed.effect.how_many,
        outcome=OperatorAction.Outcome.FAILED if deed.has_failed else OperatorAction.Outcome.SUCCEEDED,
        message=deed.effect.text[:500],
    )
    if rows:
        LogEntry.objects.log_actions(user.pk or 0, rows, CHANGE, change_message=message)
        return
    LogEntry.objects.create(
        user_id=user.pk or 0,
        content_type=ContentType.objects.get_for_model(page.model, for_concrete_model=False),
        object_repr=f"{deed.label}: {deed.subject}"[:200] if deed.subject else deed.label,
        action_flag=CHANGE,
        change_message=message,
    )


def log_failure(logger: logging.Logger, action: str, error: Exception) -> None:
    """What was refused, or could not be done now, in a line; a bug with its trace."""
    if isinstance(error, ValueError | LookupError | RedisError):
        logger.warning("admin action %s failed: %s", action, error)
    else:
        logger.error("admin action %s failed", action, exc_info=error)


def subject_of(fields: QueryDict) -> str:
    """What a posted form names, for example ``group: apex-group; entry_id: 1-0``."""
    return "; ".join(f"{name}: {value}" for name, value in fields.items() if name not in _PLUMBING and value)
