import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from avo_project.console.registry import Level
from regime.admin.console import explain, health
from regime.domain.state import FIELDS
from regime.domain.state_check import MAX_FIELDS, HeldKey, findings
from regime.services.refresher import Refresher
from tests.regime.states import NOW, plain_hset
from tests.regime.test_pages import gauges

CASES = json.loads((Path(__file__).parent / "data" / "foreign_states.json").read_text())["cases"]


def said(found: list[Any]) -> list[str]:
    return [f"{'error' if one.is_error else 'note'}: {one.text}" for one in found]


@pytest.mark.parametrize(("name", "fields", "ttl_seconds", "wanted"), CASES)
def test_a_writer_is_told_what_it_does_wrong(
    name: str, fields: dict[str, str], ttl_seconds: float | None, wanted: list[str]
) -> None:
    full = dict.fromkeys(FIELDS, fields["FULL"]) if "FULL" in fields else {}
    written = full | {field: value for field, value in fields.items() if field != "FULL"}
    packed = {field.encode(): value.encode() for field, value in written.items()}
    expires_at = None if ttl_seconds is None else NOW + ttl_seconds
    found = said(findings(HeldKey(name.encode(), "hash", len(packed), packed, expires_at), NOW))
    assert len(found) == len(wanted), found
    assert all(one.startswith(begin) for one, begin in zip(found, wanted, strict=True)), found


@pytest.mark.parametrize(
    ("kind", "count", "why"),
    [("none", 0, "no such key"), ("string", 0, "is a string"), ("hash", MAX_FIELDS + 1, "1,001")],
)
def test_what_is_no_state_at_all_is_told(kind: str, count: int, why: str) -> None:
    [only] = said(findings(HeldKey(b"AAPL", kind, count, {}, None), NOW))
    assert why in only


def check(key: str) -> tuple[int, list[str]]:
    out = io.StringIO()
    try:
        call_command("check_regime_state", key, stdout=out)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue().splitlines()
    return 0, out.getvalue().splitlines()


def test_the_command_checks_the_key_itself(redis: Any, server_now: float) -> None:
    plain_hset(redis, "lower", {"computed_at": server_now, "bull:1mo": "0.5"})
    plain_hset(redis, "GOOD", {"computed_at": server_now, **dict.fromkeys(FIELDS, "0.5")}, 3_600)
    redis.set("argus:regime:TEXT", "x")
    redis.hset("argus:regime:HUGE", mapping={f"f{n}": "1" for n in range(MAX_FIELDS + 1)})
    status, lines = check("argus:regime:lower")
    assert (status, len(lines)) == (1, 4)
    assert "argus:regime:LOWER" in lines[0]
    assert lines[-1] == "argus:regime:lower: 2 errors, 1 notes"
    assert check("GOOD") == (0, ["argus:regime:GOOD: 0 errors, 0 notes"])
    assert check("TEXT")[0] == check("HUGE")[0] == check("NOBODY")[0] == check("\udcff")[0] == 1


def test_keys_that_no_route_serves_are_counted_and_named(
    operator_client: Client, redis: Any, server_now: float, caplog: pytest.LogCaptureFixture
) -> None:
    plain_hset(redis, "GOOD", {"computed_at": server_now, "bull:1mo": "0.5"}, 3_600)
    for name in ("lower", "<b>", "A B", "mixed1", "mixed2", "mixed3"):
        plain_hset(redis, name, {"computed_at": server_now, "bull:1mo": "0.5"}, 3_600)
    refresher = Refresher.connect(lambda: server_now)
    assert [" misnamed=6 " in refresher.step().summary() for _ in range(2)] == [True, True]
    assert len([one for one in caplog.records if "6 keys whose name is no symbol" in one.getMessage()]) == 1
    assert "argus:regime:" in caplog.text
    page = operator_client.get("/admin/regime/regimecache/").content.decode()
    assert "6 keys whose name is no symbol in upper case: argus:regime:" in page
    assert "and 1 more" in page
    assert "<b>" not in page
    card = health(server_now)
    assert (card.level, "No route serves 6 keys" in card.message) == (Level.AMBER, True)
    assert gauges()["avo_regime_misnamed_keys"] == 6
    redis.delete(*(f"argus:regime:{name}" for name in ("<b>", "A B", "mixed1", "mixed2", "mixed3", "lower")))
    refresher.step()
    assert health(server_now).level is not Level.AMBER or "No route" not in health(server_now).message


@pytest.mark.parametrize("asked", ["lower", "LOWER", "symbol:lower", "argus:regime:lower"])
def test_explain_names_the_key_and_what_is_wrong(redis: Any, server_now: float, asked: str) -> None:
    plain_hset(redis, "lower", {"computed_at": server_now, "bull:1mo": "0.5"}, 3_600)
    [answer] = explain(asked, bool)
    assert (answer.kind, answer.subject, answer.headline) == ("key", "argus:regime:lower", "is not served by any route")
    assert answer.because == ("The name is not in upper case. Write to argus:regime:LOWER.",)


def test_explain_tells_the_state_and_the_key_beside_it(redis: Any, server_now: float) -> None:
    for name in ("aapl", "AAPL"):
        plain_hset(redis, name, {"computed_at": server_now, "bull:1mo": "0.5"}, 3_600)
    assert [one.kind for one in explain("aapl", bool)] == ["symbol", "key"]
    assert [one.kind for one in explain("AAPL", bool)] == ["symbol"]
    assert list(explain("x" * 5_000, bool)) == []
