"""The list of what operators did."""

from django.contrib import admin

from avo_project.models import OperatorAction
from avo_project.read_only_admin import ReadOnlyAdmin


@admin.register(OperatorAction)
class OperatorActionAdmin(ReadOnlyAdmin):
    list_display = ("at", "username", "role", "action", "subject", "reason", "how_many", "outcome", "message")
    list_filter = ("outcome", "role", "action", "at")
    search_fields = ("username", "subject", "reason", "message")
    search_help_text = "Who, on what, why, or what came of it"
