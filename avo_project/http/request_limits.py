"""Limits of requests, checked before any view: size of target, header fields and body, and time of the body."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from prometheus_client import Counter

from avo_project.http.problems import problem_response

MAX_TARGET_BYTES = 40_960  # 500 symbols of 64 characters fit in a query
MAX_FIELD_BYTES = 16_384
MAX_CREDENTIAL_BYTES = 131_072  # so that an overlong token still gets a 401
MAX_FIELDS = 64
MAX_BODY_BYTES = 6_291_456  # a touch of 1,000,000 bytes fits with every character escaped as JSON
BODY_SECONDS = 10.0

_CREDENTIALS = frozenset({b"authorization", b"x-api-key"})

REFUSED = Counter("avo_http_refused", "Requests rejected before any view", ["status"])
for _status in ("400", "408", "413", "414", "431", "503"):
    REFUSED.labels(_status)  # exported as 0 before the first event

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class RefusedError(Exception):
    """The request is rejected with a problem document of ``status`` and ``detail``."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def check_head(scope: Mapping[str, Any]) -> int | None:
    """The length of the body by its header: 0 for none, None for a chunked one. Raises RefusedError."""
    target = len(scope["raw_path"] or b"") + len(scope["query_string"])
    if target > MAX_TARGET_BYTES:
        raise RefusedError(414, f"The request target has {target} bytes; at most {MAX_TARGET_BYTES} are allowed.")
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    length: int | None = 0
    for count, (name, value) in enumerate(headers, 1):
        if count > MAX_FIELDS:
            raise RefusedError(431, f"At most {MAX_FIELDS} header fields are allowed.")
        if len(value) > MAX_FIELD_BYTES:
            _check_long_field(name, value)
        if name == b"content-length" and length is not None:
            length = int(value)
        elif name == b"transfer-encoding":
            length = None
    if length is not None and length > MAX_BODY_BYTES:
        raise RefusedError(413, f"The body has {length} bytes; at most {MAX_BODY_BYTES} are allowed.")
    return length


def _check_long_field(name: bytes, value: bytes | str) -> None:
    limit = MAX_CREDENTIAL_BYTES if name in _CREDENTIALS else MAX_FIELD_BYTES
    if len(value) > limit:
        shown = name[:64].decode("latin-1")
        raise RefusedError(431, f"The header field {shown} has {len(value)} bytes; at most {limit} are allowed.")


async def read_body(receive: Receive) -> bytes:
    """The complete body. Raises RefusedError when it is too large, too slow or incomplete: the client disconnected or
    sent invalid chunks, which Granian does not distinguish.
    """
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise RefusedError(400, "The body is incomplete or its chunks are invalid. Send it again.")
                part = message.get("body", b"")
                size += len(part)
                if size > MAX_BODY_BYTES:
                    raise RefusedError(413, f"The body has more than {MAX_BODY_BYTES} bytes.")
                parts.append(part)
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise RefusedError(408, f"The body was not received within {BODY_SECONDS:.0f} s.") from None


class RequestLimitsMiddleware:
    """Enforces the limit of header fields under other servers too, before anything reads, logs or caches them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        for key, value in request.META.items():
            if len(key) > 5 and key.startswith("HTTP_") and len(value) > MAX_FIELD_BYTES:
                name = key.removeprefix("HTTP_").replace("_", "-").lower()
                try:
                    _check_long_field(name.encode("latin-1", "replace"), value)
                except RefusedError as refusal:
                    return problem_response(refusal.status, refusal.detail, "header-field-too-large")
        return self._get_response(request)
