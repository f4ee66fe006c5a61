"""DRF renderer, parser and content negotiation for JSON with orjson."""

from collections.abc import Iterable, Mapping
from typing import IO, Any

import orjson
from rest_framework.exceptions import NotAcceptable, ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from avo_project.http.json import dump_json


class JSONBytesRenderer(BaseRenderer):
    """DRF renderer that passes bytes through and serialises everything else with orjson."""

    media_type = "application/json"
    format = "json"
    charset = None
    render_style = "binary"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        if data is None:
            return b""
        return data if isinstance(data, bytes) else dump_json(data)


class JSONBytesParser(BaseParser):
    """DRF parser with orjson: strict UTF-8 JSON of bounded depth. Raises ParseError for anything else."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            return orjson.loads(stream.read())
        except orjson.JSONDecodeError as error:
            raise ParseError(f"The body is not valid JSON: {error}.") from None


class CredentialsFirstNegotiation(DefaultContentNegotiation):
    """Content negotiation after authentication. DRF negotiates first; here a 406 comes after the 401 for a bad
    credential, and is charged to the account of a good one.
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
    """Content negotiation of the OpenAPI document, which browsers and generators request with ``?format=json``."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        chosen: tuple[BaseRenderer, str] = super().select_renderer(
            request, renderers, request.query_params.get("format", format_suffix)
        )
        return chosen
