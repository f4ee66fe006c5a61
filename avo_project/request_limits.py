"""Refuses requests whose header fields are longer than anything of ours reads."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from avo_project.problem_details import problem_response

MAX_FIELD_BYTES = 16_384
_ANY_LENGTH = "HTTP_AUTHORIZATION"  # a token of any length gets the 401 that other bad tokens get


class RequestLimitsMiddleware:
    """Stands before whatever reads, logs or remembers a header field. The server in front limits their number."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        for name, value in request.META.items():
            if name.startswith("HTTP_") and len(value) > MAX_FIELD_BYTES and name != _ANY_LENGTH:
                field = name.removeprefix("HTTP_").replace("_", "-").title()[:100]
                detail = f"The header field {field} is longer than {MAX_FIELD_BYTES} bytes. Send a shorter one."
                return problem_response(431, detail, "header-field-too-large")
        return self._get_response(request)
