"""Every request has an id: a valid one is kept, otherwise one is generated; the response has it."""

import logging
import re
from typing import Any

import pytest
from django.http import HttpResponse
from hypothesis import given
from hypothesis import strategies as st

from avo_project.observability.tracing import RequestIdMiddleware, current_request_id, request_id_from


def test_a_valid_id_is_kept(client: Any) -> None:
    assert client.get("/livez", HTTP_X_REQUEST_ID="proxy-00000042")["X-Request-ID"] == "proxy-00000042"


@pytest.mark.parametrize(
    "given_id", ["", "short", "x" * 65, "with space 123", "line\nbreak12", "ünicode-12345", '"quoted"--']
)
def test_another_one_is_replaced(client: Any, given_id: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", client.get("/livez", HTTP_X_REQUEST_ID=given_id)["X-Request-ID"])


@given(st.text())
def test_whatever_comes_in_the_id_is_harmless(header: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{7,63}", request_id_from(header))


def test_two_requests_have_two_ids(client: Any) -> None:
    assert client.get("/livez")["X-Request-ID"] != client.get("/livez")["X-Request-ID"]


def test_an_error_has_one_too(client: Any) -> None:
    assert client.get("/nowhere")["X-Request-ID"]


def test_the_id_ends_with_its_request(rf: Any) -> None:
    seen: list[str] = []

    def view(request: Any) -> HttpResponse:
        seen.append(current_request_id())
        return HttpResponse()

    RequestIdMiddleware(view)(rf.get("/", headers={"X-Request-ID": "a-request-1"}))
    assert seen == ["a-request-1"]
    assert current_request_id() == ""


def test_a_line_that_django_logs_after_the_middleware_has_the_id(client: Any, caplog: Any) -> None:
    from avo_project.observability.logging import Origin

    caplog.handler.addFilter(origin := Origin())
    try:
        with caplog.at_level(logging.INFO, "django.request"):
            client.get("/nowhere", HTTP_X_REQUEST_ID="proxy-00000043")
    finally:
        caplog.handler.removeFilter(origin)
    assert [record.request_id for record in caplog.records] == ["proxy-00000043"]
