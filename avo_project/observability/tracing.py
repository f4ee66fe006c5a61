"""OpenTelemetry traces of requests and Redis calls, for who installed requirements-otel.txt and names a collector."""

import logging
import sys
from collections.abc import Mapping
from typing import Any

from avo_project.lib.redaction import redacted

logger = logging.getLogger(__name__)

_PATH_ATTRIBUTES = ("http.target", "http.url", "url.path", "url.full", "url.query")


def start_tracing(variables: Mapping[str, str], service: str) -> bool:
    """Sends traces to OTEL_EXPORTER_OTLP_ENDPOINT, if that is set; the other OTEL_* variables hold as usual.

    Returns whether it does. To be called before Django loads its middleware.
    """
    if not variables.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return False
    try:
        _instrument(variables.get("OTEL_SERVICE_NAME") or f"avo-{service}")
    except ImportError as missing:
        logger.warning("no traces, for %s is not installed: pip install -r requirements-otel.txt", missing.name)
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
    """An unsubscribe link's path is a secret, and callers put tokens and addresses into queries."""
    for name in _PATH_ATTRIBUTES:
        if value := (span.attributes or {}).get(name):
            span.set_attribute(name, redacted(str(value)))


def current_trace_id() -> str:
    """32 hex digits while a trace is being made, else empty."""
    api = sys.modules.get("opentelemetry.trace")
    trace_id = api.get_current_span().get_span_context().trace_id if api else 0
    return f"{trace_id:032x}" if trace_id else ""
