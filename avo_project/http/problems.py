"""RFC 9457 problem details: the format of every error response outside the admin."""

import logging
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.views import csrf, defaults
from django.views.decorators.csrf import csrf_exempt
from redis.exceptions import ResponseError
from rest_framework import exceptions
from rest_framework.response import Response

from avo_project.http.json import dump_json
from avo_project.http.rendering import JSONBytesRenderer
from avo_project.redis_client.errors import REDIS_FAILURES, is_of_the_database

logger = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
_TYPE_PREFIX = "urn:avo:problem:"
_MAX_SHOWN = 200  # characters of a path in a response


class Problem(exceptions.APIException):
    """An API error with its own problem type, raised anywhere below a DRF view.

    ``problem_type`` is the last part of the type URN (RFC 9457, section 3.1.1); ``members`` are extension
    members of the body; ``headers`` are added to the response.
    """

    def __init__(
        self,
        status: int,
        problem_type: str,
        detail: str,
        *,
        members: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status_code = status
        super().__init__(detail, problem_type)
        self.problem_type = problem_type
        self.members = dict(members or {})
        self.headers = dict(headers or {})


def problem_body(status: int, detail: str, problem_type: str | None = None, **members: Any) -> dict[str, Any]:
    """The members of a problem document; its type is ``about:blank`` by default."""
    return {
        "type": f"{_TYPE_PREFIX}{problem_type}" if problem_type else "about:blank",
        "title": (problem_type or HTTPStatus(status).phrase).replace("-", " ").capitalize(),
        "status": status,
        "detail": detail,
        **members,
    }


def problem_response(
    status: int, detail: str, problem_type: str | None = None, headers: Mapping[str, str] | None = None, **members: Any
) -> HttpResponse:
    """A problem response for code outside DRF: middleware, plain views, Django's error handlers."""
    body = problem_body(status, detail, problem_type, **members)
    return HttpResponse(dump_json(body), status=status, content_type=MEDIA_TYPE, headers=dict(headers or {}))


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's EXCEPTION_HANDLER. Returns None for an unexpected exception, which Django logs and answers with 500."""
    from rest_framework.views import (
        set_rollback,  # deferred: it loads the authentication classes, which import this module
    )

    error = _as_api_exception(error)
    if not isinstance(error, exceptions.APIException):
        return None
    set_rollback()
    if (request := context.get("request")) is not None:  # errors are JSON, also on routes that serve YAML or HTML
        request.accepted_renderer, request.accepted_media_type = JSONBytesRenderer(), MEDIA_TYPE
    response = Response(_body(error), status=error.status_code, headers=_headers(error), content_type=MEDIA_TYPE)
    response.exception = True
    return response


def _as_api_exception(error: Exception) -> Exception:
    if isinstance(error, Http404):
        return exceptions.NotFound()
    if isinstance(error, PermissionDenied):
        return exceptions.PermissionDenied()
    return _store_problem(error) or error


def _store_problem(error: BaseException | None) -> Problem | None:
    """A 503 for a failure of a store itself: unavailable, busy, full, locked, corrupt or read-only."""
    if isinstance(error, REDIS_FAILURES):
        logger.error("answered with 503: %s", error, exc_info=error if isinstance(error, ResponseError) else None)
        problem_type, detail = "redis-unavailable", "The data store is unavailable. Try again."
    elif is_of_the_database(error):
        logger.error("answered with 503: the database failed: %s", error, exc_info=error)
        problem_type, detail = "database-unavailable", "The database is unavailable. Try again."
    else:
        return None
    return Problem(503, problem_type, detail, headers={"Retry-After": "5"})


def _body(error: exceptions.APIException) -> dict[str, Any]:
    if isinstance(error, Problem):
        return problem_body(error.status_code, str(error.detail), error.problem_type, **error.members)
    if isinstance(error, exceptions.ValidationError):
        errors = error.detail if isinstance(error.detail, dict) else {"non_field_errors": error.detail}
        return problem_body(error.status_code, _first_message(errors), "invalid-request", errors=errors)
    return problem_body(error.status_code, str(error.detail))


def _first_message(errors: Mapping[str, Any]) -> str:
    field, messages = next(iter(errors.items()), ("", ""))
    message = messages[0] if isinstance(messages, list) and messages else messages
    return f"{field}: {message}"


def _headers(error: exceptions.APIException) -> dict[str, str]:
    headers = dict(error.headers) if isinstance(error, Problem) else {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(int(wait))
    return headers


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if _wants_page(request):
        return defaults.bad_request(request, exception)
    return problem_response(400, "The request is malformed.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if _wants_page(request):
        return defaults.permission_denied(request, exception)
    return problem_response(403, "You do not have permission to do this.")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    """Django's CSRF_FAILURE_VIEW."""
    if _wants_page(request):
        return csrf.csrf_failure(request, reason)
    return problem_response(403, "CSRF verification failed. Reload the page and submit the form again.")


def only_methods(*methods: str) -> Callable[[Callable[..., HttpResponseBase]], Callable[..., HttpResponseBase]]:
    """Decorates a view without forms: it allows ``methods`` and answers any other with a 405 problem."""

    def decorate(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **parts: Any) -> HttpResponseBase:
            if request.method in methods:
                return view(request, *args, **parts)
            allow = {"Allow": ", ".join(methods)}
            return problem_response(405, f'Method "{request.method}" not allowed.', headers=allow)

        return csrf_exempt(checked)

    return decorate


only_safe_methods = only_methods("GET", "HEAD")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if _wants_page(request):
        return defaults.page_not_found(request, exception)
    return problem_response(404, f"No route matches {request.path[:_MAX_SHOWN]}. See /api/docs for the routes.")


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Django's handler500, called for an exception of a view or a middleware."""
    if problem := _store_problem(sys.exc_info()[1]):
        return _page_of(problem) if _wants_page(request) else _response_of(problem)
    if _wants_page(request):
        return defaults.server_error(request)
    return problem_response(500, "Internal server error. It was logged.")


def _response_of(problem: Problem) -> HttpResponse:
    return problem_response(problem.status_code, str(problem.detail), problem.problem_type, problem.headers)


def _page_of(problem: Problem) -> HttpResponse:
    words = {"title": f"{HTTPStatus(problem.status_code).phrase} ({problem.status_code})", "details": problem.detail}
    return HttpResponse(defaults.ERROR_PAGE_TEMPLATE % words, status=problem.status_code, headers=problem.headers)


def _wants_page(request: HttpRequest) -> bool:
    return request.path.startswith("/admin")
