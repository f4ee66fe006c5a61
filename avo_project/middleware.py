"""Response headers of every answer: cache rule, content policy, and Content-Length where RFC 9110, 8.6 allows one."""

from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponsePermanentRedirect
from django.middleware.common import CommonMiddleware

from avo_project.observability.metrics import has_metrics_token

_WITHOUT_CONTENT = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class ContentLengthMiddleware(CommonMiddleware):
    """Django gives every response the length of its own body: in a 304 that is 0, while the field would have to tell
    the length of the answer that is confirmed, and in a 204 it must not stand at all.
    """

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        """Prometheus finds replicas by DNS and asks each by its address, which DJANGO_ALLOWED_HOSTS cannot name."""
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
    """Adds what a response does not set itself: ``Cache-Control: private, no-store``, and to pages a
    Content-Security-Policy. It stands outside of whatever may answer, so error pages and refusals have them too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        response.headers.setdefault("Cache-Control", "private, no-store")
        if response.headers.get("Content-Type", "").startswith("text/html"):
            policy = _OWN_CODE_ONLY if request.path.startswith("/admin") else _PAGE_POLICY
            response.headers.setdefault("Content-Security-Policy", policy)
        return response
