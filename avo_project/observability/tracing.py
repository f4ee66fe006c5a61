"""Request ids, and OpenTelemetry traces of requests and Redis calls.

Traces need requirements-otel.txt and a collector (OTEL_EXPORTER_OTLP_ENDPOINT).
"""

import logging
import os
import re
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from avo_project.lib.redaction import redacted

if TYPE_CHECKING:  # every command configures logging, which needs the ids only
    from django.http import HttpRequest, HttpResponse

logger = logging.getLogger(__name__)

_PATH_ATTRIBUTES = ("http.target", "http.url", "url.path", "url.full", "url.query")


def start_tracing(variables: Mapping[str, str], service: str) -> bool:
    """Sends traces to OTEL_EXPORTER_OTLP_ENDPOINT, if set; the other OTEL_* variables apply as usual.

    Returns whether tracing is on. Call it before Django loads its middleware.
    """
    if not variables.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return False
    try:
        _instrument(variables.get("OTEL_SERVICE_NAME") or f"avo-{service}")
    except ImportError as missing:
        logger.warning("tracing is off: %s is not installed; run pip install -r requirements-otel.txt", missing.name)
        return False
    return True


def _instrument(service: str) -> None:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.instrumentation.redis import RedisInstrumentor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    DjangoInstrumentor().instrument(request_hook=_hide_secrets)
    RedisInstrumentor().instrument()


def _hide_secrets(span: Any, request: Any) -> None:
    """Redacts paths and queries, which may contain unsubscribe tokens, API tokens and addresses."""
    for name in _PATH_ATTRIBUTES:
        if value := (span.attributes or {}).get(name):
            span.set_attribute(name, redacted(str(value)))


def current_trace_id() -> str:
    """The trace id of the current span, 32 hex digits; empty without one."""
    api = sys.modules.get("opentelemetry.trace")
    trace_id = api.get_current_span().get_span_context().trace_id if api else 0
    return f"{trace_id:032x}" if trace_id else ""


HEADER = "X-Request-ID"
_META_NAME = "HTTP_X_REQUEST_ID"  # request.headers would be built from all of META
_VALID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{7,63}")

_current: ContextVar[str] = ContextVar("request_id", default="")


def current_request_id() -> str:
    """The id of the current request; empty outside of one."""
    return _current.get()


def request_id_from(header: str | None) -> str:
    """The id sent by a proxy or client if it is 8 to 64 of ``A-Z a-z 0-9 _ . -``, else a new one."""
    return header if header and _VALID.fullmatch(header) else os.urandom(16).hex()


class RequestIdMiddleware:
    """Assigns the request id. It is the outermost middleware, so that all log lines have the id."""

    def __init__(self, get_response: Callable[["HttpRequest"], "HttpResponse"]) -> None:
        self._get_response = get_response

    def __call__(self, request: "HttpRequest") -> "HttpResponse":
        request_id = request_id_from(request.META.get(_META_NAME))
        # Django logs client errors after this middleware, with the request in the log record.
        request.META["avo.request_id"] = request_id
        token = _current.set(request_id)
        try:
            response = self._get_response(request)
            response.headers[HEADER] = request_id
        finally:
            _current.reset(token)
        return response
