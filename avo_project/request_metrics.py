"""Counts and times requests, by route and kind of answer."""

import time
from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from prometheus_client import Histogram

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

REQUESTS = Histogram(
    "avo_http_request_seconds",
    "Time from a request's arrival in the application to the start of its answer",
    ["method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)


class RequestMetricsMiddleware:
    """Labels have few values, whatever callers send: the method, the route's pattern and the status's first digit."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        begun = time.perf_counter()
        response = self._get_response(request)
        taken_seconds = time.perf_counter() - begun
        method = request.method if request.method in _METHODS else "other"
        REQUESTS.labels(method, route_of(request), status_class(response.status_code)).observe(taken_seconds)
        return response


def status_class(status: int) -> str:
    """``2xx`` to ``5xx``. A 501 is ``4xx``: the caller wants what this server does not do, and nothing has failed."""
    return "4xx" if status == HTTPStatus.NOT_IMPLEMENTED else f"{status // 100}xx"


def route_of(request: HttpRequest) -> str:
    """The pattern that the request's path matched; all of the admin is one, and so is what matched nothing."""
    match = request.resolver_match
    if match is None:
        return "none"
    return "admin" if match.route.startswith("admin/") else match.route or "root"
