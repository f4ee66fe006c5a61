import io
import json
import uuid
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from avo_project.lib.ndjson import UnreadableError, numbered_lines, open_source
from outreach.models import Inbox

COMMANDS = {
    "publish_signals": {"signal_id": str(uuid.UUID(int=1)), "symbol": "AAPL", "direction": "long", "confidence": 0.5},
    "write_regimes": {"symbol": "AAPL", "computed_at": 2, "scores": {"1w": {"bull": 0.8}}},
    "enqueue_touches": {"inbox": "desk@avo.test", "recipient": "one@avo.test", "subject": "Hello", "body": "World"},
}
"""A good line of every command that reads NDJSON."""


def test_lines_keep_their_numbers_when_blank_ones_and_the_mark_are_left_out() -> None:
    lines = [BOM_UTF8 + b"1\r\n", b" \r\n", BOM_UTF8 + b"3"]
    assert list(numbered_lines(lines)) == [(1, b"1\r\n"), (3, BOM_UTF8 + b"3")]
    assert list(numbered_lines([BOM_UTF8, b"2"])) == [(2, b"2")]
    assert list(numbered_lines([BOM_UTF8 + b"7"], start=7)) == [(7, BOM_UTF8 + b"7")]


def test_a_dash_means_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"1\n2\n")))
    with open_source("-") as source:
        assert list(source) == [b"1\n", b"2\n"]


def test_a_file_that_cannot_be_opened_is_named_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match=r"cannot read .*missing: No such file or directory"):
        open_source(str(tmp_path / "missing")).__enter__()


@pytest.mark.django_db(transaction=True)
class TestCommands:
    @pytest.mark.parametrize("command", COMMANDS)
    @pytest.mark.parametrize("before", [b"", b"\r\n \n"])
    def test_a_byte_order_mark_costs_no_line(self, redis_of: Any, tmp_path: Path, command: str, before: bytes) -> None:
        for role in ("signals", "regime", "outreach"):
            redis_of(role)
        Inbox.objects.create(address="desk@avo.test")
        file = tmp_path / "lines.ndjson"
        file.write_bytes(BOM_UTF8 + before + json.dumps(COMMANDS[command]).encode() + b"\r\n")
        errors = io.StringIO()
        call_command(command, str(file), stderr=errors)
        assert "line " not in errors.getvalue()

    @pytest.mark.parametrize("command", COMMANDS)
    def test_each_says_that_standard_input_is_closed(self, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin", None)
        with pytest.raises(
            CommandError, match=r"^cannot read -: standard input is closed\. Name a file, or pipe lines"
        ):
            call_command(command, "-")

    @pytest.mark.parametrize("command", COMMANDS)
    def test_each_names_a_file_that_it_cannot_read(self, tmp_path: Path, command: str) -> None:
        with pytest.raises(CommandError, match=r"cannot read .*: Is a directory"):
            call_command(command, str(tmp_path))
