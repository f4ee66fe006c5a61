"""Django's CommonMiddleware, which checks the host, without a Content-Length where RFC 9110, 8.6 allows none."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponseBase, HttpResponsePermanentRedirect
from django.middleware.common import CommonMiddleware

from avo_project.metrics import has_metrics_token

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
