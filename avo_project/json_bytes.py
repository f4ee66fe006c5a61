"""JSON as bytes by orjson: what every API answer is rendered with."""

from collections.abc import Mapping
from decimal import Decimal
from typing import IO, Any

import orjson
from django.utils.functional import Promise
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z


def dump_json(value: object) -> bytes:
    """UTF-8 JSON of ``value``; NaN and infinities become null. Raises TypeError on what JSON cannot hold."""
    return orjson.dumps(value, default=_plain, option=_OPTIONS)


def _plain(value: object) -> object:
    if isinstance(value, Promise | str):  # translated texts, DRF's ErrorDetail
        return str(value)
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"JSON cannot hold a {type(value).__name__}")


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
