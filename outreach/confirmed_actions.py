"""Admin actions on chosen rows that ask first, need a permission of their own and are logged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from redis.exceptions import RedisError


@dataclass(frozen=True, slots=True)
class ConfirmedAction:
    """``run`` changes the rows it is meant for and returns how many; ``done`` completes the sentence "3 rows …"."""

    name: str
    label: str
    warning: str
    done: str
    run: Callable[[QuerySet[Any]], int]


class ConfirmedActionsAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A ModelAdmin with ``confirmed_actions``; the permission is ``operate_<model>``."""

    confirmed_actions: Sequence[ConfirmedAction] = ()

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.operate_{self.opts.model_name}")

    def get_actions(self, request: HttpRequest, *args: Any, **options: Any) -> dict[str, Any]:
        if not self.has_operate_permission(request):
            return {}
        return {action.name: (_view(action), action.name, action.label) for action in self.confirmed_actions}


def _view(action: ConfirmedAction) -> Callable[[Any, HttpRequest, QuerySet[Any]], HttpResponse | None]:
    def act(page: Any, request: HttpRequest, chosen: QuerySet[Any]) -> HttpResponse | None:
        if request.POST.get("confirmed") == "yes":
            _run(action, page, request, chosen)
            return None
        context = {
            **page.admin_site.each_context(request),
            "opts": page.opts,
            "title": f"{action.label}?",
            "action": action,
            "count": chosen.count(),
            "chosen": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "select_across": request.POST.get("select_across", "0"),
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/outreach/confirm.html", context)

    return act


def _run(action: ConfirmedAction, page: Any, request: HttpRequest, chosen: QuerySet[Any]) -> None:
    count = chosen.count()
    try:
        changed = action.run(chosen)
    except (RedisError, ValueError) as error:
        page.message_user(request, f"{action.label} failed: {error}", messages.ERROR)
        return
    outcome = f"{changed} of {count} {action.done}."
    LogEntry.objects.log_actions(
        request.user.pk or 0, chosen[:100], CHANGE, change_message=f"{action.label}: {outcome}"
    )
    page.message_user(request, outcome, messages.SUCCESS)
