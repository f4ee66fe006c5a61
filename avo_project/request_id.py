"""Gives every request an id that all its log lines carry and its answer tells."""

import os
import re
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

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
