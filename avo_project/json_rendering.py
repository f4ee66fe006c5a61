"""What every API answer is rendered with, and every body parsed: DRF's classes around orjson."""

from collections.abc import Mapping
from typing import IO, Any

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from avo_project.json_bytes import dump_json


class JSONBytesRenderer(BaseRenderer):
    """DRF renderer that passes ready-made bytes through and leaves everything else to orjson."""

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
    """DRF parser by orjson: strict JSON in UTF-8, of bounded depth. Raises ParseError on anything else."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            return orjson.loads(stream.read())
        except orjson.JSONDecodeError as error:
            raise ParseError(f"The body is not JSON: {error}.") from None
