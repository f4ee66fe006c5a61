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
    REASON_REQUIRED,
    ActionResult,
    AuditEntry,
    RowAction,
    RowActionsAdmin,
    failure_result,
    notify,
    write_audit_entry,
)
from avo_project.lib.redaction import redacted


class ReadOnly:
    """Mixin of a ModelAdmin or an inline whose rows only the system writes."""

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class ReadOnlyAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """A read-only table."""

    show_full_result_count = False


REASON = "change_reason"
_PASSED_ON = (PermissionDenied, Http404, SuspiciousOperation)


class AuditedModelForm(forms.ModelForm):  # type: ignore[type-arg]
    """A row's form with a required reason."""

    change_reason = forms.CharField(
        label="Reason for this change",
        max_length=300,
        widget=AdminTextInputWidget,
        help_text="Recorded with your user name under Operator actions.",
    )

    @cached_property
    def changed_data(self) -> list[str]:
        """The changed fields of the row, without the reason."""
        return [name for name in super().changed_data if name != REASON]


class _AuditedRows(BaseModelFormSet):  # type: ignore[type-arg]
    """The rows of an editable list, with one required reason for all of them."""

    def clean(self) -> None:
        super().clean()
        if not _reason(self.data):
            raise ValidationError(REASON_REQUIRED)


def _delete(chosen: QuerySet[Any]) -> int:
    count = chosen.count()
    try:
        with transaction.atomic():
            chosen.delete()
    except ProtectedError as error:
        raise ValueError(error.args[0]) from None
    return count


DELETE = RowAction("delete_selected", "Delete", "This cannot be undone.", "deleted", _delete, removes=True)


class AuditedModelAdmin(RowActionsAdmin):
    """A ModelAdmin whose add, change and delete forms, editable list and bulk deletion require a reason.

    Each changed row gets an audit row in the same transaction, with the old and new value of each field and without
    secrets. A failure changes nothing; it is shown and audited too.
    """

    form = AuditedModelForm
    row_actions: Sequence[RowAction] = (DELETE,)
    rows_have_reason = False
    """Whether the model has a ``reason`` field; the add form then requires no second one."""
    change_list_template = "admin/audited_list.html"
    delete_confirmation_template = "admin/audited_delete.html"

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        """Without the reason where the form is read-only, or where the row has a reason of its own."""
        may = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        if not may or (obj is None and self.rows_have_reason):
            options["form"] = forms.ModelForm
        return super().get_form(request, obj, change, **options)

    def get_changelist_formset(self, request: HttpRequest, **options: Any) -> Any:
        return super().get_changelist_formset(request, formset=_AuditedRows, **options)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return self._reporting_failures(
            request, "Change", "list", partial(super().changelist_view, extra_context=extra_context)
        )

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        view = partial(super().changeform_view, object_id=object_id, form_url=form_url, extra_context=extra_context)
        return self._reporting_failures(request, "Change" if object_id else "Add", object_id or "new", view)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """A POST without a reason shows the confirmation again."""
        error_note = ""
        if request.method == "POST" and not _reason(request.POST):
            request.POST, error_note = QueryDict(), REASON_REQUIRED
        context = {**(extra_context or {}), "error_note": error_note, "reason_field": REASON}
        view = partial(super().delete_view, object_id=object_id, extra_context=context)
        return self._reporting_failures(request, "Delete", object_id, view)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        result = ActionResult(_changes(form) or "No changes.", 1 if form.changed_data or not change else 0)
        self._audit(request, "Change" if change else "Add", str(obj), result)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        named = str(obj)
        super().delete_model(request, obj)
        self._audit(request, "Delete", named, ActionResult("Deleted.", 1))

    def _audit(
        self, request: HttpRequest, verb: str, named: str, result: ActionResult, *, has_failed: bool = False
    ) -> None:
        entry = AuditEntry(self._label(verb), named, _reason(request.POST), result, has_failed)
        write_audit_entry(request, self.opts, entry)

    def _label(self, verb: str) -> str:
        return f"{verb} {self.opts.verbose_name}"

    def _reporting_failures(
        self, request: HttpRequest, verb: str, named: str, view: Callable[..., HttpResponse]
    ) -> HttpResponse:
        """Runs Django's view; a failure, which rolled its transaction back, is shown and audited."""
        try:
            return view(request)
        except _PASSED_ON:
            raise
        except Exception as error:
            if request.method != "POST":
                raise
            result = failure_result(self._label(verb), error)
        self._audit(request, verb, named, result, has_failed=True)
        notify(self, request, result, has_failed=True)
        return HttpResponseRedirect(request.get_full_path())


def _reason(posted: Any) -> str:
    return str(posted.get(REASON) or posted.get("reason", "")).strip()


def _changes(form: Any) -> str:
    """``per minute: 3 → 5; url: nothing → https://…``, without secrets."""
    changes = (
        f"{name.replace('_', ' ')}: {_shown(form.initial.get(name))} → {_shown(form.cleaned_data.get(name))}"
        for name in form.changed_data
    )
    return redacted("; ".join(changes))


def _shown(value: object) -> str:
    return "nothing" if value in (None, "") else str(value)
