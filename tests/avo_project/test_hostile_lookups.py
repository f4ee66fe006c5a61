"""Nonsensical filters, ids and searches: an empty list, the usual redirect or a 404."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.db import models

from avo_project.console.live_admin import LiveStateAdmin

pytestmark = pytest.mark.django_db(transaction=True)  # in a transaction one failed query fails the rest
CASES = json.loads((Path(__file__).parent / "data" / "hostile_lookups.json").read_text())
TABLES = [model for model, page in admin.site._registry.items() if not isinstance(page, LiveStateAdmin)]


def kind_of(field: Any) -> str:
    if isinstance(field, models.DateField):
        return "date"
    return "number" if isinstance(field, models.IntegerField | models.FloatField | models.BooleanField) else "text"


def lookups(model: Any) -> Iterator[str]:
    yield from CASES["lists"]
    for field in model._meta.concrete_fields:
        yield from (field.name + lookup for lookup in CASES["lookups"][kind_of(field)])


@pytest.mark.parametrize("model", TABLES, ids=lambda model: model._meta.label)
def test_a_list_takes_any_filter(operator_client: Any, redis_of: Any, model: Any) -> None:
    path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    for lookup in lookups(model):
        answer = operator_client.get(f"{path}?{lookup}")
        assert answer.status_code in {200, 302, 400}, (lookup, answer.status_code)
        if answer.status_code == 302:
            assert operator_client.get(answer["Location"]).status_code == 200


@pytest.mark.parametrize("model", TABLES, ids=lambda model: model._meta.label)
def test_a_row_of_any_id_is_found_or_not(operator_client: Any, redis_of: Any, model: Any) -> None:
    path = f"/admin/{model._meta.app_label}/{model._meta.model_name}"
    for value in CASES["values"]:
        for page in ("change", "history", "delete"):
            answer = operator_client.get(f"{path}/{value}/{page}/")
            assert answer.status_code in {302, 403, 404}, (value, page, answer.status_code)


@pytest.mark.parametrize(("path", "status"), CASES["places"])
def test_every_other_place_takes_any_text(operator_client: Any, redis_of: Any, path: str, status: int) -> None:
    assert operator_client.get(path).status_code == status


@pytest.mark.parametrize("term", CASES["values"])
def test_the_search_of_a_form_takes_any_text(operator_client: Any, redis_of: Any, term: str) -> None:
    asked = "app_label=throttling&model_name=apikey&field_name=user"
    assert operator_client.get(f"/admin/autocomplete/?{asked}&term={term}").status_code in {200, 403, 404}


@pytest.mark.parametrize("name", ["\x00", "a\x00b", "\udc80"])
def test_nobody_signs_in_by_such_a_name(client: Any, redis_of: Any, name: str) -> None:
    answer = client.post("/admin/login/", {"username": name.encode("utf-8", "surrogateescape"), "password": "\x00"})
    assert answer.status_code == 200
