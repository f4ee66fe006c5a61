"""Admin actions on chosen rows, or on all that a filter finds: the same one way that actions on live state go."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, DELETION
from django.db import transaction
from django.db.models import Field, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from avo_project.console.operator_actions import Deed, Effect, failed, record, tell
from avo_project.redaction import redacted

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
    """A ModelAdmin with ``row_actions`` instead of Django's actions."""

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
    deed = Deed(action.label, subject, reason, effect, has_failed)
    record(request, page.opts, deed, logged, DELETION if action.removes and not has_failed else CHANGE)
    tell(page, request, effect, has_failed=has_failed)


def _done(action: RowAction, chosen: QuerySet[Any], count: int) -> Effect:
    changed = action.run(chosen)
    return Effect(f"{changed} of {count} {action.done}.", changed)


def _subject(request: HttpRequest, chosen: QuerySet[Any], count: int) -> str:
    if request.POST.get("select_across") == "1":
        return f"all {count} of the list {redacted(request.GET.urlencode(safe='@'))}".strip()
    names = ", ".join(str(row) for row in chosen[:_NAMED_ROWS])
    return names if count <= _NAMED_ROWS else f"{names} and {count - _NAMED_ROWS} more"
