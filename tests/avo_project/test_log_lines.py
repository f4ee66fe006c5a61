"""Log lines: JSON in production, text elsewhere, never on standard output."""

import json
import logging
import logging.config
from typing import Any

import pytest

from avo_project.environment import command_name
from avo_project.observability.logging import JsonLine, Origin, TextLine, chosen_format, logging_settings


def record(message: str, *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.getLogger("outreach.services.worker").makeRecord(
        "outreach.services.worker", logging.WARNING, "worker.py", 1, message, arguments, None, extra=extra
    )
    assert Origin().filter(made)
    return made


def test_a_json_line_has_its_fields() -> None:
    line = json.loads(JsonLine().format(record("inbox %d waits", 7, inbox=7, sender="bob@example.org")))
    assert line.pop("time").endswith("+00:00")
    assert line.pop("process") > 0
    assert line.pop("command")
    assert line == {
        "level": "WARNING",
        "logger": "outreach.services.worker",
        "message": "inbox 7 waits",
        "inbox": 7,
        "sender": "[address]",
    }


@pytest.mark.parametrize("formatter", [JsonLine(), TextLine()])
def test_a_traceback_is_redacted(formatter: logging.Formatter) -> None:
    made = record("failed")
    error = ValueError("no answer from redis://user:sesame@host:6379")
    made.exc_info = (type(error), error, None)
    line = formatter.format(made)
    assert "ValueError" in line
    assert "sesame" not in line


@pytest.mark.parametrize("formatter", [JsonLine(), TextLine()])
def test_the_request_is_named_and_not_written_out(formatter: logging.Formatter, rf: Any) -> None:
    request = rf.get("/api/signals", headers={"Authorization": "Bearer sesame-sesame"})
    request.META["avo.request_id"] = "0123456789abcdef0123456789abcdef01234567"
    line = formatter.format(record("Unauthorized: %s", "/api/signals", request=request, status_code=401))
    assert "0123456789abcdef0123456789abcdef01234567" in line
    assert "sesame" not in line
    assert "WSGIRequest" not in line


def test_a_line_break_makes_no_second_line() -> None:
    assert "\n" not in JsonLine().format(record("one\ntwo %s", "\u2028three\r\n{}"))


def test_odd_values_are_no_error() -> None:
    line = json.loads(JsonLine().format(record("odd", what={"x": object(), "y": b"bytes", "z": "\udcff"})))
    assert line["what"]["y"] == "b'bytes'"


@pytest.mark.parametrize(
    ("variables", "debug", "expected"),
    [
        ({}, False, "json"),
        ({}, True, "text"),
        ({"AVO_LOG_FORMAT": "text"}, False, "text"),
        ({"AVO_LOG_FORMAT": "json"}, True, "json"),
    ],
)
def test_the_format_follows_the_variable_and_then_debug(
    variables: dict[str, str], debug: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    assert chosen_format(variables, debug=debug) == expected


def test_an_unknown_format_ends_the_process_with_one_line() -> None:
    with pytest.raises(SystemExit, match=r"^AVO_LOG_FORMAT: cannot be used. Write json or text\.$"):
        chosen_format({"AVO_LOG_FORMAT": "xml"}, debug=False)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["manage.py", "consume_signals", "--count", "5"], "consume_signals"),
        (["/srv/avo/manage.py"], "manage"),
        (["/srv/avo/avo_project/web_server.py", "--workers", "1"], "web_server"),
        (["/srv/avo/.venv/bin/uvicorn", "avo_project.asgi:application"], "uvicorn"),
        (["-c"], "-c"),
        ([], "python"),
    ],
)
def test_a_process_is_known_by_what_it_runs(arguments: list[str], name: str) -> None:
    assert command_name(arguments) == name


@pytest.mark.parametrize("line_format", ["json", "text"])
def test_the_settings_are_a_configuration_that_logging_takes(line_format: str) -> None:
    logging.config.DictConfigurator(logging_settings(line_format, "INFO")).configure_formatter(
        logging_settings(line_format, "INFO")["formatters"][line_format]
    )
    handler = logging_settings(line_format, "INFO")["handlers"]["stderr"]
    assert handler["formatter"] == line_format
    assert "stream" not in handler  # logging's own default is standard error
