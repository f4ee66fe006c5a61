"""OpenTelemetry traces of requests and Redis calls, if requirements-otel.txt is installed and a collector is set."""

import logging
import sys
from collections.abc import Mapping
from typing import Any

from avo_project.lib.redaction import redacted

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
