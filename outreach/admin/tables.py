"""The admin of outreach's tables and their row actions."""

import time
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from avo_project.console.actions import RowAction, RowActionsAdmin
from avo_project.console.audited_admin import DELETE, AuditedModelAdmin, ReadOnly
from avo_project.lib.redaction import redacted
from outreach.admin.queue_page import OutreachQueueAdmin
from outreach.domain.touch import recipient_key
from outreach.models import RESERVABLE, Attempt, Inbox, OutreachQueue, Suppression, Touch
from outreach.services.inboxes import InboxNames, set_paused, stopped
from outreach.services.touch_operations import TouchOperations

admin.site.register(OutreachQueue, OutreachQueueAdmin)


def _pause(chosen: QuerySet[Any]) -> int:
    return set_paused(chosen, paused=True)


def _resume(chosen: QuerySet[Any]) -> int:
    return set_paused(chosen, paused=False)


def _cancel(chosen: QuerySet[Any]) -> int:
    return TouchOperations.connect(time.time).cancel(chosen)


def _redrive(chosen: QuerySet[Any]) -> int:
    return TouchOperations.connect(time.time).redrive(chosen)


def _as_sent(chosen: QuerySet[Any]) -> int:
    return TouchOperations.connect(time.time).resolve_as_sent(chosen)


def _again(chosen: QuerySet[Any]) -> int:
    return TouchOperations.connect(time.time).send_again(chosen)


def _running(chosen: QuerySet[Any]) -> QuerySet[Any]:
    return chosen.filter(paused=False)


def _waiting(chosen: QuerySet[Any]) -> QuerySet[Any]:
    return chosen.filter(status__in=RESERVABLE)


def _dead(chosen: QuerySet[Any]) -> QuerySet[Any]:
    return chosen.filter(status=Touch.Status.DEAD)


def _unknown(chosen: QuerySet[Any]) -> QuerySet[Any]:
    return chosen.filter(status=Touch.Status.UNKNOWN)


@admin.register(Inbox)
class InboxAdmin(AuditedModelAdmin):
    """Limits are editable in the list; workers apply changes within 5 seconds."""

    list_display = (
        "address",
        "state",
        "shown_pause_reason",
        "per_minute",
        "per_day",
        "min_gap_seconds",
        "channel",
        "timezone",
    )
    ordering = ("-paused", "address")
    list_per_page = 50  # each row has three form fields
    list_editable = ("per_minute", "per_day", "min_gap_seconds")
    list_filter = ("channel", "paused")
    search_fields = ("address",)
    readonly_fields = (
        "shown_pause_reason",
        "held_until",
        "hold_reason",
        "shown_hold_detail",
        "created_at",
        "changed_at",
    )
    exclude = ("pause_reason",)
    row_actions = (
        RowAction("pause", "Pause", "Nothing is sent from them until they are resumed.", "paused", _pause, _running),
        RowAction(
            "resume",
            "Resume",
            "Ends pauses and holds; waiting touches are sent as the limits allow.",
            "resumed",
            _resume,
            stopped,
        ),
        DELETE,
    )

    @admin.display(ordering="paused")
    def state(self, inbox: Inbox) -> str:
        if inbox.paused:
            return "Paused"
        is_held = inbox.held_until_ms > time.time() * 1000
        return f"Held ({inbox.hold_reason})" if is_held else "Active"

    @admin.display(description="pause reason")
    def shown_pause_reason(self, inbox: Inbox) -> str:
        """Redacted, because it may quote a reply that names a recipient."""
        return redacted(inbox.pause_reason)

    @admin.display(description="hold detail")
    def shown_hold_detail(self, inbox: Inbox) -> str:
        return redacted(inbox.hold_detail)


_PAYLOAD = ("recipient", "recipient_key", "subject", "body", "metadata", "mail", "idempotency_key", "draft_digest")
_REDACTED_FIELDS = ("shown_reason",)


def _may_see_payload(request: HttpRequest) -> bool:
    return request.user.has_perm("outreach.view_touch_payload")


class _HidesPayload:
    """Refuses filters on hidden fields, because the number of results would reveal their values."""

    hidden: tuple[str, ...] = (*_PAYLOAD, "reason")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        if lookup.split("__")[0] in self.hidden and not _may_see_payload(request):
            return False
        allowed: bool = super().lookup_allowed(lookup, value, request)  # type: ignore[misc]
        return allowed


def _matches(term: str, may_see_payload: bool) -> Q:
    """Touches with this id, of this inbox, and, for who may see them, of this recipient or idempotency key. Each lookup
    has an index, which a comparison of text over all columns would not use: the index of inboxes starts with the
    status."""
    try:
        found = Q(pk=UUID(term))
    except ValueError:
        found = Q(inbox=InboxNames()[term], status__in=Touch.Status.values)
    if may_see_payload:
        found |= Q(recipient_key=recipient_key(term)) & ~Q(recipient="") | Q(idempotency_key=term)
    return found


class AttemptInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    """Attempts of a touch; replies are redacted without the permission for payloads."""

    model = Attempt
    readonly_fields = ("said",)

    def get_fields(self, request: HttpRequest, obj: object = None) -> tuple[str, ...]:
        said = "detail" if _may_see_payload(request) else "said"
        return ("started_at", "finished_at", "outcome", "reply_class", "code", said, "worker")

    @admin.display(description="detail")
    def said(self, attempt: Attempt) -> str:
        return redacted(attempt.detail)


@admin.register(Touch)
class TouchAdmin(_HidesPayload, ReadOnly, RowActionsAdmin):
    """Touches and their attempts. States change only through actions. Recipients require a permission of their own."""

    list_filter = ("status",)
    list_select_related = ("inbox",)
    search_fields = ("id",)  # shows the form; get_search_results decides
    search_help_text = (
        "Complete id or inbox address; with the permission for payloads also recipient or idempotency key"
    )
    show_full_result_count = False
    inlines = (AttemptInline,)
    row_actions = (
        RowAction("cancel", "Cancel", "Touches that are not in flight are never sent.", "cancelled", _cancel, _waiting),
        RowAction(
            "redrive",
            "Redrive",
            "Dead touches get all their attempts again; suppressed recipients are skipped.",
            "queued again",
            _redrive,
            _dead,
        ),
        RowAction(
            "resolve_sent",
            "Resolve as sent",
            "Only for unknown touches that you found to be delivered.",
            "resolved",
            _as_sent,
            _unknown,
        ),
        RowAction(
            "send_again",
            "Send again",
            "Only for unknown touches that you found to be undelivered: they are sent again.",
            "queued again",
            _again,
            _unknown,
        ),
    )

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        reason = "reason" if _may_see_payload(request) else "shown_reason"
        who = ("recipient",) if _may_see_payload(request) else ()
        return ("id", "inbox", *who, "status", "tries", reason, "created_at", "finished_at")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Touch], search_term: str
    ) -> tuple[QuerySet[Touch], bool]:
        term = search_term.strip()
        return (queryset.filter(_matches(term, _may_see_payload(request))) if term else queryset), False

    def get_exclude(self, request: HttpRequest, obj: object = None) -> tuple[str, ...]:
        return () if _may_see_payload(request) else self.hidden

    def get_readonly_fields(self, request: HttpRequest, obj: object = None) -> tuple[str, ...]:
        return () if _may_see_payload(request) else _REDACTED_FIELDS

    @admin.display(description="reason")
    def shown_reason(self, touch: Touch) -> str:
        return redacted(touch.reason)


@admin.register(Suppression)
class SuppressionAdmin(_HidesPayload, AuditedModelAdmin):
    """Suppressions from rejections, unsubscribe links and ``forget_recipient``; operators can only lift them."""

    row_actions = (replace(DELETE, label="Lift", warning="They may be sent to again.", done="lifted"),)
    hidden = ("recipient", "recipient_key", "reason")
    readonly_fields = ("recipient_key", "created_at")

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        return (
            ("recipient", "reason", "created_at")
            if _may_see_payload(request)
            else ("id", *_REDACTED_FIELDS, "created_at")
        )

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return ("recipient",) if _may_see_payload(request) else ()

    def get_exclude(self, request: HttpRequest, obj: object = None) -> tuple[str, ...]:
        return () if _may_see_payload(request) else self.hidden

    def get_readonly_fields(self, request: HttpRequest, obj: object = None) -> tuple[str, ...]:
        return self.readonly_fields if _may_see_payload(request) else (*_REDACTED_FIELDS, "created_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    @admin.display(description="reason")
    def shown_reason(self, suppression: Suppression) -> str:
        """Redacted, because it may quote a reply that names the recipient."""
        return redacted(suppression.reason)
