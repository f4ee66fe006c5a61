"""Operator actions: the confirmation, the permission, and the append-only audit entry of each."""

import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Field, Model, QuerySet
from django.db.models.options import Options
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse
from redis.exceptions import RedisError

from avo_project.lib.redaction import redacted
from avo_project.models import OperatorAction

logger = logging.getLogger(__name__)

_PLUMBING = {"csrfmiddlewaretoken", "confirmed", "reason"}


@dataclass(frozen=True, slots=True)
class ActionResult:
    """What an action would do or has done, as a sentence, and to how many; None where nobody can count."""

    text: str
    how_many: int | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One action as it is written down; ``subject`` is what it was done to, in words."""

    label: str
    subject: str
    reason: str
    effect: ActionResult
    has_failed: bool = False


def record(
    request: HttpRequest, page: "Options[Model]", deed: AuditEntry, rows: Sequence[Model] = (), flag: int = CHANGE
) -> None:
    """One audit row, and in the admin's log one entry for the page or one for each of ``rows``."""
    write_audit_entry(request, page, deed)
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


def write_audit_entry(request: HttpRequest, page: "Options[Model]", deed: AuditEntry) -> None:
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


def failed(label: str, error: Exception) -> ActionResult:
    """What to tell of an action that raised. What was refused, or could not be done now, is logged in a line; a bug
    with its trace."""
    if isinstance(error, ValueError | LookupError | RedisError):
        logger.warning("admin action %s failed: %s", label, error)
    else:
        logger.error("admin action %s failed", label, exc_info=error)
    return ActionResult(redacted(f"{label} failed: {error}")[:500], 0)


def tell(page: Any, request: HttpRequest, effect: ActionResult, *, has_failed: bool) -> None:
    """On the next page that the operator sees; ``page`` is a ModelAdmin."""
    page.message_user(request, effect.text, messages.ERROR if has_failed else messages.SUCCESS)


def subject_of(fields: QueryDict, inputs: Collection[str]) -> str:
    """What a posted form names, for example ``group: apex-group; entry_id: 1-0``. The action's own ``inputs`` stand as
    they were typed, the rest without addresses and secrets."""
    named = ((name, value) for name, value in fields.items() if name not in _PLUMBING and value)
    return "; ".join(f"{name}: {value if name in inputs else redacted(str(value))}" for name, value in named)


_NAMED_ROWS = 10
_LOGGED_ROWS = 100


@dataclass(frozen=True, slots=True)
class RowAction:
    """``run`` changes the rows that ``meant_for`` leaves of those chosen and returns how many it changed; ``done``
    completes the sentence "3 of 4 …". What ``removes`` rows needs the permission to delete them instead of
    ``operate_<model>``, and is written down in the same transaction, since it touches nothing but rows."""

    name: str
    label: str
    warning: str
    done: str
    run: Callable[[QuerySet[Any]], int]
    meant_for: Callable[[QuerySet[Any]], QuerySet[Any]] = lambda chosen: chosen
    removes: bool = False


class RowActionsAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A ModelAdmin with ``console.actions`` instead of Django's actions."""

    row_actions: Sequence[RowAction] = ()

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.operate_{self.opts.model_name}")

    def get_actions(self, request: HttpRequest, *args: Any, **options: Any) -> dict[str, Any]:
        may = {False: self.has_operate_permission(request), True: self.has_delete_permission(request)}
        offered = [action for action in self.row_actions if may[action.removes]]
        return {action.name: (_view(action), action.name, action.label) for action in offered}

    def formfield_for_dbfield(self, db_field: "Field[Any, Any]", request: HttpRequest, **options: Any) -> Any:
        """In a list that can be edited no label stands beside the fields, so each one carries its own."""
        field = super().formfield_for_dbfield(db_field, request, **options)
        if field is not None and field.label:
            field.widget.attrs.setdefault("aria-label", str(field.label))
        return field


def _view(action: RowAction) -> Callable[[Any, HttpRequest, QuerySet[Any]], HttpResponse | None]:
    def act(page: Any, request: HttpRequest, chosen: QuerySet[Any]) -> HttpResponse | None:
        is_confirmed, reason = request.POST.get("confirmed") == "yes", request.POST.get("reason", "").strip()
        if is_confirmed and reason:
            with transaction.atomic() if action.removes else nullcontext():
                _run(action, page, request, chosen)
            return None
        return _ask(action, page, request, chosen, "Say why: nothing was done yet." if is_confirmed else "")

    return act


def _ask(action: RowAction, page: Any, request: HttpRequest, chosen: QuerySet[Any], complaint: str) -> HttpResponse:
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "title": f"{action.label}?",
        "action": action,
        "count": chosen.count(),
        "would_change": action.meant_for(chosen).count(),
        "chosen": request.POST.getlist(ACTION_CHECKBOX_NAME),
        "select_across": request.POST.get("select_across", "0"),
        "checkbox": ACTION_CHECKBOX_NAME,
        "complaint": complaint,
    }
    return TemplateResponse(request, "admin/row_action.html", context)


def _run(action: RowAction, page: Any, request: HttpRequest, chosen: QuerySet[Any]) -> None:
    count, logged = chosen.count(), list(chosen[:_LOGGED_ROWS])  # afterwards a filter by state finds others
    subject = _subject(request, chosen, count)
    try:
        effect, has_failed = _done(action, chosen, count), False
    except Exception as error:  # noqa: BLE001 - whatever it was, the operator is told and it is written down
        effect, has_failed = failed(action.label, error), True
    reason = request.POST["reason"].strip()
    deed = AuditEntry(action.label, subject, reason, effect, has_failed)
    record(request, page.opts, deed, logged, DELETION if action.removes and not has_failed else CHANGE)
    tell(page, request, effect, has_failed=has_failed)


def _done(action: RowAction, chosen: QuerySet[Any], count: int) -> ActionResult:
    changed = action.run(chosen)
    return ActionResult(f"{changed} of {count} {action.done}.", changed)


def _subject(request: HttpRequest, chosen: QuerySet[Any], count: int) -> str:
    if request.POST.get("select_across") == "1":
        return f"all {count} of the list {redacted(request.GET.urlencode(safe='@'))}".strip()
    names = ", ".join(str(row) for row in chosen[:_NAMED_ROWS])
    return names if count <= _NAMED_ROWS else f"{names} and {count - _NAMED_ROWS} more"
