"""Which media type answers a request: DRF's negotiation, in an order in which every credential counts."""

from collections.abc import Iterable
from typing import Any

from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class CredentialsFirstNegotiation(DefaultContentNegotiation):
    """DRF negotiates before it asks who calls. Here a 406 comes last: behind the 401 for a bad credential, and on the
    account of a good one.
    """

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        try:
            chosen: tuple[BaseRenderer, str] = super().select_renderer(request, renderers, format_suffix)
            return chosen
        except NotAcceptable:
            view: Any = request.parser_context["view"]
            view.perform_authentication(request)
            view.check_permissions(request)
            view.check_throttles(request)
            raise


class FormatInQueryNegotiation(DefaultContentNegotiation):
    """For the OpenAPI document, which browsers and generators ask for by ``?format=json``."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        chosen: tuple[BaseRenderer, str] = super().select_renderer(
            request, renderers, request.query_params.get("format", format_suffix)
        )
        return chosen
