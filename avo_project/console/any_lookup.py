"""Lists, rows and searches of the admin that take any text for a filter, an id or a term."""

from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters, ModelAdmin
from django.contrib.admin.views.main import ChangeList
from django.db import DatabaseError, DataError, OperationalError
from django.db.models import QuerySet
from django.http import HttpRequest

_NO_SUCH_VALUE = (ValueError, OverflowError, DataError)  # a year of 99999; PostgreSQL keeps no NUL in a text
_BAD_PATTERN = "user-defined function raised exception"  # SQLite's words for a regular expression that is none


class _AnyFilterChangeList(ChangeList):
    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        try:
            return super().get_queryset(request, exclude_parameters)
        except OverflowError as error:  # the date hierarchy looks for a ValueError alone
            raise IncorrectLookupParameters(error) from error

    def get_results(self, request: HttpRequest) -> None:
        """Django checks a filter when it builds the query; some fail only when the query runs."""
        try:
            super().get_results(request)
        except (*_NO_SUCH_VALUE, LookupError, DatabaseError) as error:
            if isinstance(error, OperationalError) and _BAD_PATTERN not in str(error):
                raise
            if not self.params:  # nothing was asked: the table is at fault
                raise
            raise IncorrectLookupParameters(error) from error


class AnyLookupAdmin(ModelAdmin):  # type: ignore[type-arg]
    """A filter that no row can match leads to the list without it, an id that no row can have to Django's "does not
    exist", and a term that no text can hold finds nothing."""

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
