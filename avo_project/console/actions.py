"""Operator actions on rows: confirmation, permission and the append-only audit entry of each."""

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

CONTROL_FIELDS = {"csrfmiddlewaretoken", "confirmed", "reason"}


@dataclass(frozen=True, slots=True)
class ActionResult:
    """The result of an action, or of its preview: a sentence and the number of affected items, None when unknown."""

    text: str
    how_many: int | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry of the audit log; ``subject`` describes the target of the action."""

    label: str
    subject: str
    reason: str
    result: ActionResult
    has_failed: bool = False


def record(
    request: HttpRequest, page: "Options[Model]", entry: AuditEntry, rows: Sequence[Model] = (), flag: int = CHANGE
) -> None:
    """Writes an audit row, and to the admin's log one entry for the page or one for each of ``rows``."""
    write_audit_entry(request, page, entry)
    user, message = request.user, f"{entry.label}: {entry.result.text}"
    if rows:
        LogEntry.objects.log_actions(user.pk or 0, rows, flag, change_message=message)
        return
    LogEntry.objects.create(
        user_id=user.pk or 0,
        content_type=ContentType.objects.get_for_model(page.model, for_concrete_model=False),
        object_repr=f"{entry.label}: {entry.subject}"[:200] if entry.subject else entry.label,
        action_flag=flag,
        change_message=message,
    )


def write_audit_entry(request: HttpRequest, page: "Options[Model]", entry: AuditEntry) -> None:
    """Writes the audit row alone. Addresses and tokens are redacted from the reason."""
    OperatorAction.objects.create(
        user_id=request.user.pk,
        username=request.user.get_username(),
        role=page.app_label,
        action=entry.label[:100],
        subject=entry.subject[:500],
        reason=redacted(entry.reason)[:300],
        how_many=entry.result.how_many,
        outcome=OperatorAction.Outcome.FAILED if entry.has_failed else OperatorAction.Outcome.SUCCEEDED,
        message=entry.result.text[:500],
    )


def failure_result(label: str, error: Exception) -> ActionResult:
    """The result of an action that raised. Rejections and store failures are logged in one line, bugs with their
    traceback."""
    if isinstance(error, ValueError | LookupError | RedisError):
        logger.warning("admin action %s failed: %s", label, error)
    else:
        logger.error("admin action %s failed", label, exc_info=error)
    return ActionResult(redacted(f"{label} failed: {error}")[:500], 0)


def notify(page: Any, request: HttpRequest, result: ActionResult, *, has_failed: bool) -> None:
    """Shows the result on the operator's next page; ``page`` is a ModelAdmin."""
    page.message_user(request, result.text, messages.ERROR if has_failed else messages.SUCCESS)


def subject_of(fields: QueryDict, inputs: Collection[str]) -> str:
    """The target that a posted form names, for example ``group: apex-group; entry_id: 1-0``. The action's own
    ``inputs`` are kept as typed; addresses and secrets are redacted from the rest."""
    named = ((name, value) for name, value in fields.items() if name not in CONTROL_FIELDS and value)
    return "; ".join(f"{name}: {value if name in inputs else redacted(str(value))}" for name, value in named)


REASON_REQUIRED = "A reason is required. No changes were made."
_NAMED_ROWS = 10
_LOGGED_ROWS = 100


@dataclass(frozen=True, slots=True)
class RowAction:
    """An action on selected rows. ``run`` changes those that are ``eligible`` and returns their number; ``done``
    completes the sentence "3 of 4 …". An action that ``removes`` rows requires the delete permission instead of
    ``operate_<model>``, and is audited in the same transaction."""

    name: str
    label: str
    warning: str
    done: str
    run: Callable[[QuerySet[Any]], int]
    eligible: Callable[[QuerySet[Any]], QuerySet[Any]] = lambda chosen: chosen
    removes: bool = False


class RowActionsAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A ModelAdmin whose actions require a confirmation, a reason and a permission, and are audited."""

    row_actions: Sequence[RowAction] = ()

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.operate_{self.opts.model_name}")

    def get_actions(self, request: HttpRequest, *args: Any, **options: Any) -> dict[str, Any]:
        may = {False: self.has_operate_permission(request), True: self.has_delete_permission(request)}
        offered = [action for action in self.row_actions if may[action.removes]]
        return {action.name: (_view(action), action.name, action.label) for action in offered}

    def formfield_for_dbfield(self, db_field: "Field[Any, Any]", request: HttpRequest, **options: Any) -> Any:
        """Gives each field its label, because an editable list shows none beside its fields."""
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
        return _confirmation_page(action, page, request, chosen, REASON_REQUIRED if is_confirmed else "")

    return act


def _confirmation_page(
    action: RowAction, page: Any, request: HttpRequest, chosen: QuerySet[Any], error_note: str
) -> HttpResponse:
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "title": f"{action.label}?",
        "action": action,
        "count": chosen.count(),
        "affected": action.eligible(chosen).count(),
        "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
        "select_across": request.POST.get("select_across", "0"),
        "checkbox": ACTION_CHECKBOX_NAME,
        "error_note": error_note,
    }
    return TemplateResponse(request, "admin/row_action.html", context)


def _run(action: RowAction, page: Any, request: HttpRequest, chosen: QuerySet[Any]) -> None:
    count, logged = chosen.count(), list(chosen[:_LOGGED_ROWS])  # after the action a filter by state matches others
    subject = _subject(request, chosen, count)
    try:
        result, has_failed = _done(action, chosen, count), False
    except Exception as error:  # noqa: BLE001 - any failure is shown to the operator and audited
        result, has_failed = failure_result(action.label, error), True
    reason = request.POST["reason"].strip()
    entry = AuditEntry(action.label, subject, reason, result, has_failed)
    record(request, page.opts, entry, logged, DELETION if action.removes and not has_failed else CHANGE)
    notify(page, request, result, has_failed=has_failed)


def _done(action: RowAction, chosen: QuerySet[Any], count: int) -> ActionResult:
    changed = action.run(chosen)
    return ActionResult(f"{changed} of {count} {action.done}.", changed)


def _subject(request: HttpRequest, chosen: QuerySet[Any], count: int) -> str:
    if request.POST.get("select_across") == "1":
        return f"all {count} of the list {redacted(request.GET.urlencode(safe='@'))}".strip()
    names = ", ".join(str(row) for row in chosen[:_NAMED_ROWS])
    return names if count <= _NAMED_ROWS else f"{names} and {count - _NAMED_ROWS} more"
