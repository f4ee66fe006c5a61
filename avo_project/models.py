"""What operators did: the audit of every action in the admin."""

from typing import Any, NoReturn

from django.conf import settings
from django.db import models


class AppendOnlyError(TypeError):
    """An attempt to change or delete a row of the audit log."""

    def __init__(self) -> None:
        super().__init__("operator actions are append-only: they can be neither changed nor deleted")


class AppendOnlyQuerySet(models.QuerySet[Any]):
    """A queryset that only inserts rows."""

    def update(self, **changes: Any) -> NoReturn:
        raise AppendOnlyError

    def bulk_update(self, *args: Any, **options: Any) -> NoReturn:
        raise AppendOnlyError

    def bulk_create(self, *args: Any, update_conflicts: bool = False, **options: Any) -> list[Any]:
        if update_conflicts:
            raise AppendOnlyError
        return super().bulk_create(*args, **options)

    def delete(self) -> NoReturn:
        raise AppendOnlyError


class OperatorAction(models.Model):
    """One row of the audit log: an operator's action on live state or on rows, its reason and its outcome."""

    class Outcome(models.TextChoices):
        SUCCEEDED = "succeeded"
        FAILED = "failed"

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    username = models.CharField(max_length=150, help_text="Stays when the account is deleted.")
    role = models.CharField(max_length=40)
    action = models.CharField(max_length=100)
    subject = models.CharField(max_length=500, blank=True, help_text="What it was done to, or the filter that chose.")
    reason = models.CharField(max_length=300)
    how_many = models.PositiveIntegerField(null=True, help_text="Empty when it cannot be counted.")
    outcome = models.CharField(max_length=9, choices=Outcome)
    message = models.CharField(max_length=500)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.action}, {self.outcome}"

    def save(self, *args: Any, **options: Any) -> None:
        if not self._state.adding:
            raise AppendOnlyError
        super().save(*args, **options)

    def delete(self, *args: Any, **options: Any) -> NoReturn:
        raise AppendOnlyError
