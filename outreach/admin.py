"""The admin of the outreach tables; the page over the live queue is in ``queue_page``."""

import time
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from avo_project.row_actions import RowAction, RowActionsAdmin
from outreach.inbox_settings import set_paused
from outreach.models import RESERVABLE, Attempt, Inbox, OutreachQueue, Suppression, Touch
from outreach.queue_page import OutreachQueueAdmin
from outreach.remedies import Remedies

admin.site.register(OutreachQueue, OutreachQueueAdmin)


def _pause(chosen: QuerySet[Any]) -> int:
    return set_paused(chosen, paused=True)


def _resume(chosen: QuerySet[Any]) -> int:
    return set_paused(chosen, paused=False)


def _cancel(chosen: QuerySet[Any]) -> int:
    return Remedies.connect(time.time).cancel(chosen)


def _redrive(chosen: QuerySet[Any]) -> int:
    return Remedies.connect(time.time).redrive(chosen)


def _as_sent(chosen: QuerySet[Any]) -> int:
    return Remedies.connect(time.time).resolve_as_sent(chosen)


def _again(chosen: QuerySet[Any]) -> int:
    return Remedies.connect(time.time).send_again(chosen)


def _running(chosen: QuerySet[Any]) -> QuerySet[Any]:
    return chosen.filter(paused=False)


def _paused(chosen: QuerySet[Any]) -> QuerySet[Any]:
    return chosen.filter(paused=True)


def _waiting(chosen: QuerySet[Any]) -> QuerySet[Any]:
    return chosen.filter(status__in=RESERVABLE)


def _dead(chosen: QuerySet[Any]) -> QuerySet[Any]:
    return chosen.filter(status=Touch.Status.DEAD)


def _unknown(chosen: QuerySet[Any]) -> QuerySet[Any]:
    return chosen.filter(status=Touch.Status.UNKNOWN)


@admin.register(Inbox)
class InboxAdmin(RowActionsAdmin):
    """Limits can be edited in the list; workers follow within 5 seconds."""

    list_display = (
        "address",
        "channel",
        "per_minute",
        "per_day",
        "min_gap_seconds",
        "timezone",
        "paused",
        "pause_reason",
    )
    list_editable = ("per_minute", "per_day", "min_gap_seconds")
    list_filter = ("channel", "paused")
    search_fields = ("address",)
    readonly_fields = ("created_at", "changed_at")
    row_actions = (
        RowAction("pause", "Pause", "Nothing leaves them until they are resumed.", "paused", _pause, _running),
        RowAction("resume", "Resume", "What waits in them leaves as their limits allow.", "resumed", _resume, _paused),
    )


class _ReadOnly:
    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class AttemptInline(_ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    model = Attempt
    fields = ("started_at", "finished_at", "outcome", "code", "detail", "worker")


@admin.register(Touch)
class TouchAdmin(_ReadOnly, RowActionsAdmin):
    """Search and timeline. States change through actions only."""

    list_display = ("id", "inbox", "recipient", "status", "tries", "reason", "created_at", "finished_at")
    list_filter = ("status",)
    list_select_related = ("inbox",)
    search_fields = ("id__exact", "recipient__exact", "idempotency_key__exact", "inbox__address__exact")
    search_help_text = "Whole recipient, inbox, idempotency key or id"
    show_full_result_count = False
    inlines = (AttemptInline,)
    row_actions = (
        RowAction(
            "cancel", "Cancel", "What has not been handed to a server never leaves.", "cancelled", _cancel, _waiting
        ),
        RowAction(
            "redrive", "Redrive", "Dead touches are tried again from the start.", "queued again", _redrive, _dead
        ),
        RowAction(
            "resolve_sent",
            "Resolve as sent",
            "Only for unknown touches that you found to have arrived.",
            "resolved",
            _as_sent,
            _unknown,
        ),
        RowAction(
            "send_again",
            "Send again",
            "Only for unknown touches that did not arrive: they go out anew.",
            "queued again",
            _again,
            _unknown,
        ),
    )


@admin.register(Suppression)
class SuppressionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("recipient", "reason", "created_at")
    search_fields = ("recipient",)
    readonly_fields = ("recipient_key", "created_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False
