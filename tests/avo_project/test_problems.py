"""Every error outside the admin is problem+json."""

import sqlite3
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.core.handlers.exception import convert_exception_to_response
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
)
from django.db.transaction import TransactionManagementError
from django.http import Http404
from redis.exceptions import (
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError
from rest_framework import exceptions

from avo_project.http.problems import Problem, csrf_failure, exception_handler, server_error

BROKEN_FILE = DatabaseError("file is not a database")
BROKEN_FILE.__cause__ = sqlite3.DatabaseError("file is not a database")


def body_of(error: Exception) -> dict[str, Any]:
    response = exception_handler(error, {})
    assert response is not None
    assert response.content_type == "application/problem+json"
    assert response.status_code == response.data["status"]
    assert set(response.data) >= {"type", "title", "status", "detail"}
    return {**response.data, "headers": response.headers}


def test_a_problem_carries_its_type_members_and_headers() -> None:
    body = body_of(Problem(404, "stale-regime", "Too old.", members={"age_seconds": 9}, headers={"Retry-After": "7"}))
    assert body["type"] == "urn:avo:problem:stale-regime"
    assert body["title"] == "Stale regime"
    assert (body["age_seconds"], body["headers"]["Retry-After"]) == (9, "7")


def test_field_errors_are_listed_by_field() -> None:
    body = body_of(exceptions.ValidationError({"limit": ["Must be at most 1000."]}))
    assert body["errors"] == {"limit": ["Must be at most 1000."]}
    assert body["detail"] == "limit: Must be at most 1000."


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Http404(), 404),
        (PermissionDenied(), 403),
        (exceptions.MethodNotAllowed("POST"), 405),
        (exceptions.UnsupportedMediaType("text/csv"), 415),
        (RedisTimeoutError("late"), 503),
        (OutOfMemoryError("full"), 503),
        (ReadOnlyError("a replica"), 503),
        (ResponseError("BUSY Redis is busy running a script."), 503),
        (MasterDownError("Link with MASTER is down"), 503),
        (NoPermissionError("this user has no permissions"), 503),
        (RedisClusterException("no slot is covered"), 503),
        (OperationalError("database is locked"), 503),
        (OperationalError("database or disk is full"), 503),
        (OperationalError("canceling statement due to lock timeout"), 503),
        (InterfaceError("connection already closed"), 503),
        (InternalError("cannot execute UPDATE in a read-only transaction"), 503),
        (ProgrammingError('relation "outreach_touch" does not exist'), 503),
        (BROKEN_FILE, 503),
    ],
)
def test_the_usual_errors_have_the_shape_too(error: Exception, status: int) -> None:
    assert body_of(error)["status"] == status


def test_a_refusal_says_how_long_to_wait() -> None:
    assert body_of(exceptions.Throttled(wait=12))["headers"]["Retry-After"] == "12"


@pytest.mark.parametrize(
    "error", [KeyError("bug"), IntegrityError("twice"), DataError("too long"), TransactionManagementError("our own")]
)
def test_a_bug_is_left_to_django(error: Exception) -> None:
    assert exception_handler(error, {}) is None


@pytest.mark.parametrize("path", ["/u/token", "/admin/", "/nowhere"])
@pytest.mark.parametrize("error", [OperationalError("database is locked"), RedisTimeoutError("late"), KeyError("bug")])
def test_a_store_that_fails_outside_of_the_api_is_503_too(rf: Any, path: str, error: Exception) -> None:
    def view(request: Any) -> Any:
        raise error

    answer = convert_exception_to_response(view)(rf.get(path))
    is_bug = isinstance(error, KeyError)
    assert (answer.status_code, answer.get("Retry-After")) == ((500, None) if is_bug else (503, "5"))
    assert answer["Content-Type"].startswith("text/html" if path == "/admin/" else "application/problem+json")
    assert str(error).encode() not in answer.content


@pytest.mark.django_db
def test_an_unknown_path_is_a_problem_and_under_the_admin_a_page(client: Any) -> None:
    answer = client.get("/nowhere")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert "html" in client.get("/admin/nowhere/", follow=True)["Content-Type"]


def test_an_unknown_host_is_a_problem(client: Any) -> None:
    answer = client.get("/livez", HTTP_HOST="evil.example")
    assert answer.status_code in (200, 400)
    answer = client.get("/nowhere", HTTP_HOST="evil.example")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")


def test_a_server_error_is_a_problem_without_the_traceback(rf: Any) -> None:
    answer = server_error(rf.get("/api/macro"))
    assert (answer.status_code, answer["Content-Type"]) == (500, "application/problem+json")


def test_a_form_from_elsewhere_is_a_problem_and_under_the_admin_a_page(rf: Any) -> None:
    assert csrf_failure(rf.post("/api/x"), "no cookie")["Content-Type"] == "application/problem+json"
    assert "html" in csrf_failure(rf.post("/admin/login/"), "no cookie")["Content-Type"]
