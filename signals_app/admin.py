"""The stream and the executions in the admin."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from avo_project.console.live_state_admin import LiveAction, LiveStateAdmin, Panel
from signals_app import admin_actions, admin_panels
from signals_app.admin_search import Search
from signals_app.models import Execution, LiveStream


@admin.register(LiveStream)
class LiveStreamAdmin(LiveStateAdmin):
    console_role = "signals"
    live_actions: Sequence[LiveAction] = admin_actions.ACTIONS
    page_template = "admin/signal_stream.html"

    def panels(self, request: HttpRequest) -> Sequence[Panel]:
        may_see_payload = request.user.has_perm("signals_app.view_event_payload")
        return admin_panels.panels(Search.of(request.GET), partial(self.button, request), may_see_payload)


@admin.register(Execution)
class ExecutionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Read-only: a row is the record of an effect."""

    list_display = ("executed_at", "symbol", "direction", "confidence", "signal_id")
    list_filter = ("direction",)
    search_fields = ("symbol", "signal_id")
    ordering = ("-executed_at",)
    date_hierarchy = None
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
