"""JSON serialisation to bytes with orjson."""

from decimal import Decimal

import orjson
from django.utils.functional import Promise

_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z


def dump_json(value: object) -> bytes:
    """UTF-8 JSON of ``value``; NaN and infinities become null. Raises TypeError for other types."""
    return orjson.dumps(value, default=_plain, option=_OPTIONS)


def _plain(value: object) -> object:
    if isinstance(value, Promise | str):  # translated texts, DRF's ErrorDetail
        return str(value)
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"Cannot serialise to JSON: {type(value).__name__}")
