"""Base classes of admin tables: read-only ones, and ones whose changes require a reason and are audited."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminTextInputWidget
from django.core.exceptions import PermissionDenied, SuspiciousOperation, ValidationError
from django.db import transaction
from django.db.models import Model, ProtectedError, QuerySet
from django.forms.models import BaseModelFormSet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.utils.functional import cached_property

from avo_project.console.actions import (
    ActionResult,
    AuditEntry,
    RowAction,
    RowActionsAdmin,
    failed,
    tell,
    write_audit_entry,
)
from avo_project.lib.redaction import redacted


class ReadOnly:
    """For a ModelAdmin or an inline: rows are written by the system, or come as files; corrections go the same way."""

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class ReadOnlyAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """A whole table."""

    show_full_result_count = False


REASON = "change_reason"
SAY_WHY = "Say why: nothing was done yet."
_NO_FAILURES = (PermissionDenied, Http404, SuspiciousOperation)


class AuditedModelForm(forms.ModelForm):  # type: ignore[type-arg]
    """A row's form and why it is sent."""

    change_reason = forms.CharField(
        label="Reason for this change",
        max_length=300,
        widget=AdminTextInputWidget,
        help_text="Kept with your name in the list of operator actions.",
    )

    @cached_property
    def changed_data(self) -> list[str]:
        """Without the reason, which is no part of the row."""
        return [name for name in super().changed_data if name != REASON]


class _AuditedRows(BaseModelFormSet):  # type: ignore[type-arg]
    """The rows of a list that is edited in place: one reason for all of them."""

    def clean(self) -> None:
        super().clean()
        if not _reason(self.data):
            raise ValidationError(SAY_WHY)


def _delete(chosen: QuerySet[Any]) -> int:
    count = chosen.count()
    try:
        with transaction.atomic():
            chosen.delete()
    except ProtectedError as error:
        raise ValueError(error.args[0]) from None
    return count


DELETE = RowAction("delete_selected", "Delete", "They are gone for good.", "deleted", _delete, removes=True)


class AuditedModelAdmin(RowActionsAdmin):
    """A ModelAdmin whose add, change and delete forms, list that is edited in place and bulk deletion need a reason.

    In the transaction of the change one audit row a changed row is written, with each field's old and new value
    without secrets. What fails is told, changes nothing and leaves a row too.
    """

    form = AuditedModelForm
    row_actions: Sequence[RowAction] = (DELETE,)
    rows_say_why = False
    """Whether a row has a ``reason`` of its own; a new one then needs no second."""
    change_list_template = "admin/reasoned_list.html"
    delete_confirmation_template = "admin/reasoned_delete.html"

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        """Without the question where nothing can be sent, or where the row itself says why."""
        may = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        if not may or (obj is None and self.rows_say_why):
            options["form"] = forms.ModelForm
        return super().get_form(request, obj, change, **options)

    def get_changelist_formset(self, request: HttpRequest, **options: Any) -> Any:
        return super().get_changelist_formset(request, formset=_AuditedRows, **options)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return self._telling_failures(
            request, "Change", "list", partial(super().changelist_view, extra_context=extra_context)
        )

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        view = partial(super().changeform_view, object_id=object_id, form_url=form_url, extra_context=extra_context)
        return self._telling_failures(request, "Change" if object_id else "Add", object_id or "new", view)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Without a reason it asks again, as if it had only been opened."""
        complaint = ""
        if request.method == "POST" and not _reason(request.POST):
            request.POST, complaint = QueryDict(), SAY_WHY
        context = {**(extra_context or {}), "complaint": complaint, "reason_field": REASON}
        view = partial(super().delete_view, object_id=object_id, extra_context=context)
        return self._telling_failures(request, "Delete", object_id, view)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        effect = ActionResult(_changes(form) or "Nothing was changed.", 1 if form.changed_data or not change else 0)
        self._write_down(request, "Change" if change else "Add", str(obj), effect)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        named = str(obj)
        super().delete_model(request, obj)
        self._write_down(request, "Delete", named, ActionResult("It is deleted.", 1))

    def _write_down(
        self, request: HttpRequest, verb: str, named: str, effect: ActionResult, *, has_failed: bool = False
    ) -> None:
        deed = AuditEntry(self._label(verb), named, _reason(request.POST), effect, has_failed)
        write_audit_entry(request, self.opts, deed)

    def _label(self, verb: str) -> str:
        return f"{verb} {self.opts.verbose_name}"

    def _telling_failures(
        self, request: HttpRequest, verb: str, named: str, view: Callable[..., HttpResponse]
    ) -> HttpResponse:
        """Django's view, whose transaction is gone when it raises."""
        try:
            return view(request)
        except _NO_FAILURES:
            raise
        except Exception as error:
            if request.method != "POST":
                raise
            effect = failed(self._label(verb), error)
        self._write_down(request, verb, named, effect, has_failed=True)
        tell(self, request, effect, has_failed=True)
        return HttpResponseRedirect(request.get_full_path())


def _reason(posted: Any) -> str:
    return str(posted.get(REASON) or posted.get("reason", "")).strip()


def _changes(form: Any) -> str:
    """``per minute: 3 → 5; url: nothing → https://…``, without secrets."""
    told = (
        f"{name.replace('_', ' ')}: {_told(form.initial.get(name))} → {_told(form.cleaned_data.get(name))}"
        for name in form.changed_data
    )
    return redacted("; ".join(told))


def _told(value: object) -> str:
    return "nothing" if value in (None, "") else str(value)
