"""Tracing is off by default, and a missing package is not an error."""

import logging
import sys
from typing import Any

import pytest

from avo_project.observability.tracing import _hide_secrets, current_trace_id, start_tracing

COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.fixture
def without_opentelemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)


def test_nothing_is_loaded_unless_it_is_asked_for() -> None:
    assert not start_tracing({}, "web_server")
    assert not start_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, "web_server")
    assert current_trace_id() == ""


def test_a_missing_package_is_said_and_no_error(without_opentelemetry: None, caplog: Any) -> None:
    with caplog.at_level(logging.WARNING):
        assert not start_tracing(COLLECTOR, "web_server")
    assert "pip install -r requirements-otel.txt" in caplog.text


def test_a_span_holds_no_secret() -> None:
    class Span:
        attributes = {"url.path": "/u/open-sesame", "http.target": "/x?recipient=bob@example.org", "http.method": "GET"}

        def set_attribute(self, name: str, value: str) -> None:
            self.attributes[name] = value

    _hide_secrets(span := Span(), None)
    assert span.attributes == {"url.path": "/u/[hidden]", "http.target": "[address]", "http.method": "GET"}
