"""The list of what operators did, and the tokens without their keys."""

from typing import Any

from django.contrib import admin
from rest_framework.authtoken.admin import TokenAdmin  # noqa: F401 - registers itself, before it is replaced
from rest_framework.authtoken.models import TokenProxy

from avo_project.console.read_only_admin import ReadOnlyAdmin
from avo_project.models import OperatorAction


@admin.register(OperatorAction)
class OperatorActionAdmin(ReadOnlyAdmin):
    list_display = ("at", "username", "role", "action", "subject", "reason", "how_many", "outcome", "message")
    list_filter = ("outcome", "role", "action", "at")
    search_fields = ("username", "subject", "reason", "message")
    search_help_text = "Who, on what, why, or what came of it"


admin.site.unregister(TokenProxy)


@admin.register(TokenProxy)
class TokenWithoutKeyAdmin(ReadOnlyAdmin):
    """Who has a token and since when. The key itself is shown by ``drf_create_token`` alone, which also renews it."""

    list_display = ("user", "created")
    list_display_links = None
    search_fields = ("user__username",)

    def get_object(self, *args: Any, **options: Any) -> None:
        return None
