"""The admin page of the audit log."""

from django.contrib import admin
from rest_framework.authtoken.admin import TokenAdmin  # noqa: F401 - registers itself, before it is replaced
from rest_framework.authtoken.models import TokenProxy

from avo_project.console.audited_admin import ReadOnlyAdmin
from avo_project.models import OperatorAction


@admin.register(OperatorAction)
class OperatorActionAdmin(ReadOnlyAdmin):
    list_display = ("at", "username", "role", "action", "subject", "reason", "how_many", "outcome", "message")
    list_filter = ("outcome", "role", "action", "at")
    search_fields = ("username", "subject", "reason", "message")
    search_help_text = "User name, subject, reason or message"


admin.site.unregister(TokenProxy)  # throttling stores API keys instead and deletes its rows at once
