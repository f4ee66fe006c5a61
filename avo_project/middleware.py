"""Response headers: Cache-Control, Content-Security-Policy, and Content-Length by RFC 9110, section 8.6."""

from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponsePermanentRedirect
from django.middleware.common import CommonMiddleware

from avo_project.observability.metrics import has_metrics_token

_WITHOUT_CONTENT = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class ContentLengthMiddleware(CommonMiddleware):
    """Removes Content-Length from 204 and 304. Django sets the length of the empty body, but in a 304 the field must be
    the length of the confirmed response, and a 204 must not have it.
    """

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        """Skips the host check of /metrics: Prometheus scrapes replicas by address, not by an allowed host name."""
        if request.path_info == "/metrics" and has_metrics_token(request):
            return None
        return super().process_request(request)

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        response = super().process_response(request, response)
        if response.status_code in _WITHOUT_CONTENT:
            del response.headers["Content-Length"]
        return response


_OWN_CODE_ONLY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; form-action 'self'; base-uri 'self'"
_PAGE_POLICY = f"{_OWN_CODE_ONLY}; style-src 'self' 'unsafe-inline'"  # Swagger UI styles its elements


class ResponseHeadersMiddleware:
    """Default response headers: ``Cache-Control: private, no-store``, and a Content-Security-Policy for pages. It wraps
    the other middleware, so that error responses have them too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        response.headers.setdefault("Cache-Control", "private, no-store")
        if response.headers.get("Content-Type", "").startswith("text/html"):
            policy = _OWN_CODE_ONLY if request.path.startswith("/admin") else _PAGE_POLICY
            response.headers.setdefault("Content-Security-Policy", policy)
        return response
