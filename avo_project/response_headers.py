"""Response headers that hold whatever answered: who may keep an answer, and what a page may load."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

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
