"""The admin of the outreach tables; the page over the live queue is in ``queue_page``."""

from django.contrib import admin
from django.http import HttpRequest

from outreach.models import Attempt, Inbox, OutreachQueue, Suppression, Touch
from outreach.queue_page import OutreachQueueAdmin

admin.site.register(OutreachQueue, OutreachQueueAdmin)


@admin.register(Inbox)
class InboxAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
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
class TouchAdmin(_ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Search and timeline. States change through actions only."""

    list_display = ("id", "inbox", "recipient", "status", "tries", "reason", "created_at", "finished_at")
    list_filter = ("status",)
    list_select_related = ("inbox",)
    search_fields = ("id__exact", "recipient__exact", "idempotency_key__exact", "inbox__address__exact")
    search_help_text = "Whole recipient, inbox, idempotency key or id"
    show_full_result_count = False
    inlines = (AttemptInline,)


@admin.register(Suppression)
class SuppressionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("recipient", "reason", "created_at")
    search_fields = ("recipient",)
    readonly_fields = ("recipient_key", "created_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False
