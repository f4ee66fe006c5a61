"""Logging configuration: JSON or text lines with request id and command, without secrets."""

import logging
import sys
from collections.abc import Mapping
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from avo_project import environment
from avo_project.environment import command_name
from avo_project.lib.redaction import redacted, redacted_values
from avo_project.observability.tracing import current_request_id, current_trace_id

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_OTHER_LEVELS = ("WARN", "NOTSET")  # accepted by logging and Granian, but not documented
_NOT_LOGGED = ["request", "server_time", "color_message", "taskName"]  # of Django, the standard library


def chosen_format(variables: Mapping[str, str], *, debug: bool) -> str:
    """``json`` or ``text``: AVO_LOG_FORMAT; by default text with DEBUG or on a terminal, else JSON.

    Another value ends the process with one line.
    """
    chosen = variables.get("AVO_LOG_FORMAT", "")
    if chosen not in {"", "json", "text"}:
        environment.stop("AVO_LOG_FORMAT", "cannot be used. Write json or text.")
    return chosen or ("text" if debug or sys.stderr.isatty() else "json")


def chosen_level(variables: Mapping[str, str]) -> str:
    """LOG_LEVEL in upper case, INFO by default. An unknown level ends the process with one line."""
    level = (variables.get("LOG_LEVEL") or "INFO").upper()
    if level not in _LEVELS + _OTHER_LEVELS:
        environment.stop("LOG_LEVEL", f"cannot be used. Write {', '.join(_LEVELS[:-1])} or {_LEVELS[-1]}.")
    return level


def logging_settings(line_format: str, level: str) -> dict[str, Any]:
    """Django's LOGGING: everything, including the lines of the servers, through one handler to stderr."""
    through_root = {"handlers": [], "propagate": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "origin": {"()": "avo_project.observability.logging.Origin"},
            "client_error": {"()": "avo_project.observability.logging.ClientError"},
        },
        "formatters": {
            "json": {"()": "avo_project.observability.logging.JsonLine"},
            "text": {"()": "avo_project.observability.logging.TextLine"},
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": line_format,
                "filters": ["client_error", "origin"],
            }
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": through_root,
            "django.server": through_root,
            "_granian": through_root,
            "granian.access": through_root,
            "httpx": {"level": "WARNING"},
        },
    }


class Origin(logging.Filter):
    """Adds ``command``, ``request_id`` and ``trace_id`` to each record."""

    def filter(self, record: logging.LogRecord) -> bool:
        meta: dict[str, str] = getattr(getattr(record, "request", None), "META", {})
        record.request_id = meta.get("avo.request_id") or current_request_id()
        record.trace_id = current_trace_id()
        record.command = command_name(sys.argv)
        return True


class ClientError(logging.Filter):
    """Lowers client errors to INFO, so that warnings and errors are always those of the server.

    Client errors are 4xx and 501 responses, and unknown Host headers, which Django logs with a traceback.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        status = getattr(record, "status_code", 0)
        if not record.name.startswith("django.") or not (400 <= status < 500 or status == 501):
            return True
        record.levelno, record.levelname, record.exc_info = logging.INFO, "INFO", None
        return logging.getLogger(record.name).isEnabledFor(logging.INFO)


class TextLine(logging.Formatter):
    """Text lines for a terminal. The traceback is redacted too."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname} {name}: {message}", style="{")

    def format(self, record: logging.LogRecord) -> str:
        request_id = getattr(record, "request_id", "")
        return redacted(super().format(record)) + (f" [{request_id}]" if request_id else "")


class JsonLine(JsonFormatter):
    """One JSON object per line: ``time``, ``level``, ``logger``, ``message``, ``process``, ``command``, ``request_id``,
    and the ``extra`` of the call."""

    def __init__(self) -> None:
        super().__init__(
            "{levelname}{name}{message}{process}",
            style="{",
            rename_fields={"levelname": "level", "name": "logger", "exc_info": "exception", "stack_info": "stack"},
            reserved_attrs=[*RESERVED_ATTRS, *_NOT_LOGGED],
            timestamp="time",
        )

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Called by the library with all fields, including the traceback."""
        time = log_data.pop("time").isoformat(timespec="milliseconds")
        ids = {name: log_data.pop(name, "") for name in ("request_id", "trace_id")}  # safe: our own ids of hex digits
        fields: dict[str, Any] = redacted_values(log_data)
        return {"time": time} | fields | {name: value for name, value in ids.items() if value}
