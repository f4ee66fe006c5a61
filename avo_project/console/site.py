"""The operators' admin site: system status, explanations, and lookups that accept any text."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.admin.options import IncorrectLookupParameters, ModelAdmin
from django.contrib.admin.views.main import ChangeList
from django.db import DatabaseError, DataError, OperationalError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path
from django.utils.module_loading import import_string

from avo_project.console.explain import ACCEPTED_IDS, Explanation, explain
from avo_project.console.home import card_fragments, visible_roles
from avo_project.console.panels import live_answer

_METHODS = ("GET", "HEAD", "POST", "OPTIONS")


class ConsoleSite(AdminSite):
    site_header = "Avo"
    index_title = "System status"
    index_template = "admin/console_home.html"

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Makes every page accept any lookup, also those that Django and other packages register."""
        page = admin_class or AnyLookupAdmin
        if not issubclass(page, AnyLookupAdmin):
            page = type(page.__name__, (page, AnyLookupAdmin), {"__module__": page.__module__})
        super().register(model_or_iterable, page, **options)

    def get_urls(self) -> list[URLResolver | URLPattern]:
        ours = [
            path("console/live.json", self.admin_view(self.live), name="console_live"),
            path("console/explain/", self.admin_view(self.explain), name="console_explain"),
        ]
        return [*ours, *super().get_urls()]

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Any:
        guarded = super().admin_view(view, cacheable)

        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if request.method not in _METHODS:  # Django would treat them as GET
                return HttpResponseNotAllowed(_METHODS)
            return guarded(request, *args, **kwargs)

        return checked

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        username = request.POST.get("username", "")
        return _guarded(request, username, partial(super().login, request, extra_context))

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        username = request.user.get_username()
        return _guarded(request, username, partial(super().password_change, request, extra_context))

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        ours = {"parts": card_fragments(visible_roles(request.user), time.time()), "as_of": datetime.now(UTC)}
        return super().index(request, {**ours, **_search(""), **(extra_context or {})})

    def live(self, request: HttpRequest) -> HttpResponse:
        """The health cards as JSON, for the page's script."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        return live_answer(request, card_fragments(visible_roles(request.user), time.time()), time.time())

    def explain(self, request: HttpRequest) -> HttpResponse:
        """The explanation of the id in ``?of=``."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        of = request.GET.get("of", "").strip()
        found, error_note = _explained(of, request)
        context = {
            **self.each_context(request),
            **_search(of),
            "title": f"Explain {of}" if of else "Explain",
            "found": found,
            "error_note": error_note,
        }
        return TemplateResponse(request, "admin/explain.html", context)


def _guarded(request: HttpRequest, username: str, view: Callable[[], HttpResponse]) -> Any:
    """The response of ``view``, unless the password guard of the settings rejects another password check."""
    return import_string(settings.CONSOLE["PASSWORD_GUARD"])(request, username, view)


def _search(of: str) -> dict[str, str]:
    return {"of": of, "accepted_ids": ACCEPTED_IDS}


def _explained(of: str, request: HttpRequest) -> tuple[Explanation | None, str]:
    try:
        return (explain(of, request.user.has_perm), "") if of else (None, "")
    except ValueError as error:
        return None, str(error)


_NO_SUCH_VALUE = (ValueError, OverflowError, DataError)  # a year of 99999; PostgreSQL keeps no NUL in a text
_BAD_PATTERN = "user-defined function raised exception"  # SQLite's message for an invalid regular expression


class _AnyFilterChangeList(ChangeList):
    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        try:
            return super().get_queryset(request, exclude_parameters)
        except OverflowError as error:  # the date hierarchy catches ValueError only
            raise IncorrectLookupParameters(error) from error

    def get_results(self, request: HttpRequest) -> None:
        """Django checks a filter when it builds the query; some fail only when the query runs."""
        try:
            super().get_results(request)
        except (*_NO_SUCH_VALUE, LookupError, DatabaseError) as error:
            if isinstance(error, OperationalError) and _BAD_PATTERN not in str(error):
                raise
            if not self.params:  # no filter was given, so the table is at fault
                raise
            raise IncorrectLookupParameters(error) from error


class AnyLookupAdmin(ModelAdmin):  # type: ignore[type-arg]
    """A ModelAdmin that accepts any lookup: an unusable filter redirects to the unfiltered list, an impossible id gives
    Django's "does not exist", and a search term that no text can contain finds nothing."""

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return _AnyFilterChangeList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        try:
            return super().get_object(request, object_id, from_field)
        except _NO_SUCH_VALUE:
            return None

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if "\0" in search_term:
            return queryset.none(), False
        return super().get_search_results(request, queryset, search_term)
