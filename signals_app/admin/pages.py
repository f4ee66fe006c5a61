"""The stream and the executions in the admin."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from avo_project.console.live_admin import LiveAction, LiveStateAdmin, Panel
from signals_app.admin import actions, panels
from signals_app.admin.panels import Search
from signals_app.models import Execution, LiveStream


@admin.register(LiveStream)
class LiveStreamAdmin(LiveStateAdmin):
    console_role = "signals"
    live_actions: Sequence[LiveAction] = actions.ACTIONS
    page_template = "admin/signal_stream.html"

    def panels(self, request: HttpRequest) -> Sequence[Panel]:
        may_see_payload = request.user.has_perm("signals_app.view_event_payload")
        return panels.panels(Search.of(request.GET), partial(self.button, request), may_see_payload)


_PAYLOAD = ("direction", "confidence")


def _hidden(request: HttpRequest) -> tuple[str, ...]:
    return () if request.user.has_perm("signals_app.view_event_payload") else _PAYLOAD


@admin.register(Execution)
class ExecutionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Read-only, because a row is the record of an execution."""

    search_fields = ("symbol", "signal_id")
    ordering = ("-executed_at",)
    date_hierarchy = None
    show_full_result_count = False

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        return ("executed_at", "symbol", *(() if _hidden(request) else _PAYLOAD), "signal_id")

    def get_list_filter(self, request: HttpRequest) -> tuple[str, ...]:
        return () if _hidden(request) else ("direction",)

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return _hidden(request)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refuses filters on hidden fields, because their results would reveal the values."""
        return lookup.split("__")[0] not in _hidden(request) and super().lookup_allowed(lookup, value, request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
