"""Middleware that gives each request an id and counts it by route, method and status class."""

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, get_resolver
from prometheus_client import Histogram

HEADER = "X-Request-ID"
_META_NAME = "HTTP_X_REQUEST_ID"  # looked up here, since request.headers is built from all of META
_VALID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{7,63}")

_current: ContextVar[str] = ContextVar("request_id", default="")


def current_request_id() -> str:
    """The id of the request that this thread or task works on; empty outside one."""
    return _current.get()


def request_id_from(header: str | None) -> str:
    """The id that a proxy or caller gave, if it is 8 to 64 of ``A-Z a-z 0-9 _ . -``, else a new one."""
    return header if header and _VALID.fullmatch(header) else os.urandom(16).hex()


class RequestIdMiddleware:
    """Comes first of all, so that whatever the others log has the id too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = request_id_from(request.META.get(_META_NAME))
        # Django logs refused requests when this middleware is done, and hands its log records the request.
        request.META["avo.request_id"] = request_id
        token = _current.set(request_id)
        try:
            response = self._get_response(request)
            response.headers[HEADER] = request_id
        finally:
            _current.reset(token)
        return response


_FAILURES = ("4xx", "5xx")
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
        self._seen: set[tuple[str, str]] = set()
        for route in routes():
            for status in _FAILURES:
                REQUESTS.labels("GET", route, status)  # a rate would miss what comes before a counter is shown

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
    """``2xx`` to ``5xx``. A 501 is ``4xx``: the caller wants what this server does not do, and nothing has failed."""
    return "4xx" if status == HTTPStatus.NOT_IMPLEMENTED else f"{status // 100}xx"


def route_of(request: HttpRequest) -> str:
    """The pattern that the request's path matched; all of the admin is one, and so is what matched nothing."""
    return "none" if request.resolver_match is None else _named(request.resolver_match.route)


def routes() -> set[str]:
    """Every route that ``route_of`` may name."""
    return {"none", *_walked(get_resolver().url_patterns)}


def _walked(patterns: Iterable[URLPattern | URLResolver], prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _walked(pattern.url_patterns, f"{prefix}{pattern.pattern}")
        else:
            yield _named(f"{prefix}{pattern.pattern}")


def _named(route: str) -> str:
    return "admin" if route.startswith("admin/") else route or "root"
