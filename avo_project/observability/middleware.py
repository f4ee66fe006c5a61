"""Middleware that measures requests by route, method and status class."""

import time
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, get_resolver
from prometheus_client import Histogram

_FAILURES = ("4xx", "5xx")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

REQUESTS = Histogram(
    "avo_http_request_seconds",
    "Time from a request's arrival in the application to the start of its answer",
    ["method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)


class RequestMetricsMiddleware:
    """Measures requests by method, route pattern and status class, labels whose number of values is bounded."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        self._seen: set[tuple[str, str]] = set()
        for route in routes():
            for status in _FAILURES:
                REQUESTS.labels("GET", route, status)  # exported as 0, so that a rate includes the first event

    def __call__(self, request: HttpRequest) -> HttpResponse:
        begun = time.perf_counter()
        response = self._get_response(request)
        taken_seconds = time.perf_counter() - begun
        method = request.method if request.method in _METHODS else "other"
        route = route_of(request)
        if (method, route) not in self._seen:
            self._seen.add((method, route))
            for status in ("2xx", *_FAILURES):
                REQUESTS.labels(method, route, status)
        REQUESTS.labels(method, route, status_class(response.status_code)).observe(taken_seconds)
        return response


def status_class(status: int) -> str:
    """``2xx`` to ``5xx``. A 501 counts as ``4xx``: the client requested an unsupported method."""
    return "4xx" if status == HTTPStatus.NOT_IMPLEMENTED else f"{status // 100}xx"


def route_of(request: HttpRequest) -> str:
    """The route pattern of the request; ``admin`` for the whole admin, ``none`` without a match."""
    return "none" if request.resolver_match is None else _named(request.resolver_match.route)


def routes() -> set[str]:
    """All values of ``route_of``."""
    return {"none", *_walked(get_resolver().url_patterns)}


def _walked(patterns: Iterable[URLPattern | URLResolver], prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _walked(pattern.url_patterns, f"{prefix}{pattern.pattern}")
        else:
            yield _named(f"{prefix}{pattern.pattern}")


def _named(route: str) -> str:
    return "admin" if route.startswith("admin/") else route or "root"
