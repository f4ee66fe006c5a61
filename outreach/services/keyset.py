"""Long results in pages by key, without a server-side cursor: pgbouncer keeps none between two statements."""

from collections.abc import Iterator
from operator import attrgetter
from typing import Any

from django.db.models import Q, QuerySet


def keyset_pages(rows: QuerySet[Any], *keys: str, size: int) -> Iterator[list[Any]]:
    """The rows in the order of ``keys``, which identify a row together and are attributes of it, in lists of at most
    ``size``. A row that is inserted behind the last one meanwhile is included."""
    ordered = rows.order_by(*keys)
    page = list(ordered[:size])
    while page:
        yield page
        if len(page) < size:
            return
        last = [attrgetter(key)(page[-1]) for key in keys]
        page = list(ordered.filter(_after(list(keys), last))[:size])


def _after(keys: list[str], values: list[Any]) -> Q:
    """Rows behind ``values``. The first condition alone lets an index find its start."""
    condition = Q(**{f"{keys[-1]}__gt": values[-1]})
    for key, value in zip(keys[-2::-1], values[-2::-1], strict=True):
        condition = Q(**{f"{key}__gte": value}) & (Q(**{f"{key}__gt": value}) | condition)
    return condition
