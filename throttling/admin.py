"""The admin of overrides and plan changes; the page over live limits is in ``limits_page``."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from avo_project.console.read_only_admin import ReadOnlyAdmin
from avo_project.console.reasoned_admin import ReasonedAdmin
from throttling.limits_page import RateLimitsAdmin
from throttling.models import PlanChange, RateLimits, TierOverride

admin.site.register(RateLimits, RateLimitsAdmin)


@admin.register(TierOverride)
class TierOverrideAdmin(ReasonedAdmin):
    """Who, why, until when. In force everywhere within 5 seconds."""

    rows_say_why = True
    list_display = ("subject", "tier", "rates", "reason", "created_by", "expires_at")
    list_filter = (("tier", admin.EmptyFieldListFilter), "expires_at")  # by its values, one link would have no words
    search_fields = ("subject", "reason")
    readonly_fields = ("created_by", "created_at")

    def save_model(self, request: HttpRequest, obj: TierOverride, form: Any, change: bool) -> None:
        obj.created_by_id = request.user.pk
        super().save_model(request, obj, form, change)


@admin.register(PlanChange)
class PlanChangeAdmin(ReadOnlyAdmin):
    """What Clerk reported; nobody changes it here."""

    list_display = ("subject", "plan", "is_active", "event_type", "event_at", "received_at")
    list_filter = ("plan", "is_active")
    search_fields = ("subject",)
