"""The admin of overrides, plan changes and API keys; the page over live limits is in ``limits_page``."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from avo_project.console.actions import RowAction
from avo_project.console.audited_admin import AuditedModelAdmin, AuditedModelForm, ReadOnlyAdmin
from throttling import conf
from throttling.admin.limits_page import RateLimitsAdmin
from throttling.domain import subjects
from throttling.models import APIKey, PlanChange, RateLimits, TierOverride
from throttling.services import api_keys

admin.site.register(RateLimits, RateLimitsAdmin)


@admin.register(TierOverride)
class TierOverrideAdmin(AuditedModelAdmin):
    """Who, why, until when. In force everywhere within 5 seconds."""

    rows_have_reason = True
    list_display = ("subject", "applies_to", "tier", "rates", "reason", "created_by", "expires_at")
    list_filter = (("tier", admin.EmptyFieldListFilter), "expires_at")  # by its values, one link would have no words
    search_fields = ("subject", "reason")
    readonly_fields = ("applies_to", "created_by", "created_at")
    fields = ("subject", "applies_to", "tier", "rates", "reason", "expires_at", "created_by", "created_at")

    @admin.display(description="applies to")
    def applies_to(self, obj: TierOverride) -> str:
        if not obj.subject:
            return "shown once it is saved"
        try:
            return subjects.applies_to(subjects.normal(obj.subject))
        except ValueError as error:
            return f"nobody: {error}"

    def save_model(self, request: HttpRequest, obj: TierOverride, form: Any, change: bool) -> None:
        obj.created_by_id = request.user.pk
        super().save_model(request, obj, form, change)


@admin.register(PlanChange)
class PlanChangeAdmin(ReadOnlyAdmin):
    """What Clerk reported; nobody changes it here."""

    list_display = ("subject", "plan", "is_active", "event_type", "event_at", "received_at")
    list_filter = ("plan", "is_active")
    search_fields = ("subject",)


class APIKeyForm(AuditedModelForm):
    scopes = forms.MultipleChoiceField(
        choices=lambda: [(scope, scope) for scope in conf.load().named_scopes],
        required=False,
        help_text="None chosen: whatever the account may do.",
    )


def _good(chosen: QuerySet[Any]) -> QuerySet[Any]:
    return chosen.filter(revoked_at=None)


@admin.register(APIKey)
class APIKeyAdmin(AuditedModelAdmin):
    """Keys are made here and shown once. One that was made can be revoked and not changed: whoever holds it counts on
    what it opens."""

    form = APIKeyForm
    fields = ("user", "name", "scopes", "expires_at")
    list_display = ("name", "user", "shown", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    list_select_related = ("user",)
    search_fields = ("name", "shown", "user__username")
    row_actions = (
        RowAction(
            "revoke", "Revoke", "Whoever uses them is refused within 2 seconds, for good.", "revoked",
            api_keys.revoke, _good,
        ),
    )  # fmt: skip

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        """A key is as good as its account, so only a superuser makes one for a superuser."""
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
        """The one page that shows the key."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"API key {obj.name}",
            "key": obj,
        }
        return TemplateResponse(request, "admin/api_key.html", context)
