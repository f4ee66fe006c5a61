"""Admin of overrides, plan changes and API keys. The page of live limits is in ``limits_page``."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from avo_project.console.actions import RowAction
from avo_project.console.audited_admin import AuditedModelAdmin, AuditedModelForm, ReadOnlyAdmin
from throttling.admin.limits_page import RateLimitsAdmin
from throttling.conf import ThrottlingConf
from throttling.domain import subjects
from throttling.models import APIKey, PlanChange, RateLimits, TierOverride
from throttling.services import api_keys

admin.site.register(RateLimits, RateLimitsAdmin)


@admin.register(TierOverride)
class TierOverrideAdmin(AuditedModelAdmin):
    """Admin of tier overrides. A change takes effect within 5 seconds in every process."""

    rows_have_reason = True
    list_display = ("subject", "applies_to", "tier", "rates", "reason", "created_by", "expires_at")
    list_filter = (
        ("tier", admin.EmptyFieldListFilter),
        "expires_at",
    )  # a filter by value would have a link without text
    search_fields = ("subject", "reason")
    readonly_fields = ("applies_to", "created_by", "created_at")
    fields = ("subject", "applies_to", "tier", "rates", "reason", "expires_at", "created_by", "created_at")

    @admin.display(description="applies to")
    def applies_to(self, obj: TierOverride) -> str:
        if not obj.subject:
            return "shown after saving"
        try:
            return subjects.applies_to(subjects.normal(obj.subject))
        except ValueError as error:
            return f"invalid: {error}"

    def save_model(self, request: HttpRequest, obj: TierOverride, form: Any, change: bool) -> None:
        obj.created_by_id = request.user.pk
        super().save_model(request, obj, form, change)


@admin.register(PlanChange)
class PlanChangeAdmin(ReadOnlyAdmin):
    """Read-only list of the plan changes that Clerk reported."""

    list_display = ("subject", "plan", "is_active", "event_type", "event_at", "received_at")
    list_filter = ("plan", "is_active")
    search_fields = ("subject",)


class APIKeyForm(AuditedModelForm):
    scopes = forms.MultipleChoiceField(
        choices=lambda: [(scope, scope) for scope in ThrottlingConf.load().named_scopes],
        required=False,
        help_text="Leave empty to allow everything that the account may do.",
    )


def _good(chosen: QuerySet[Any]) -> QuerySet[Any]:
    return chosen.filter(revoked_at=None)


@admin.register(APIKey)
class APIKeyAdmin(AuditedModelAdmin):
    """Admin of API keys. A new key is shown once; afterwards it can be revoked but not changed."""

    form = APIKeyForm
    fields = ("user", "name", "scopes", "expires_at")
    list_display = ("name", "user", "shown", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    list_select_related = ("user",)
    search_fields = ("name", "shown", "user__username")
    row_actions = (
        RowAction(
            "revoke", "Revoke", "Takes effect within 2 seconds and cannot be undone.", "revoked",
            api_keys.revoke, _good,
        ),
    )  # fmt: skip

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        """Only superusers may create keys for superusers: a key has all permissions of its account."""
        form = super().get_form(request, obj, change, **options)
        if "user" in form.base_fields and not request.user.is_superuser:
            accounts = form.base_fields["user"]
            accounts.queryset = accounts.queryset.filter(is_superuser=False)
        return form

    def save_model(self, request: HttpRequest, obj: APIKey, form: Any, change: bool) -> None:
        obj.text = api_keys.new_key()
        api_keys.mark(obj, obj.text)
        super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: APIKey, post_url_continue: str | None = None) -> HttpResponse:
        """Renders the only page that shows the key."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"API key {obj.name}",
            "key": obj,
        }
        return TemplateResponse(request, "admin/api_key.html", context)
