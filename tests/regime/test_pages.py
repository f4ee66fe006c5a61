import threading
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils.html import escape

from avo_project.console.registry import Level
from regime.admin.console import health
from regime.domain.state import FIELDS
from regime.metrics import live_metrics
from regime.services.cycle import Cycle
from regime.services.inspection import RegimeInspection
from regime.services.refresher import Refresher
from regime.store.ttl_backfill import BackfillLog
from tests.regime.states import a_state, plain_hset

PAGE = "/admin/regime/regimecache/"


def joined(name: str) -> None:
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join()


def test_the_page_shows_how_the_cache_stands(
    operator_client: Client, cycle: Cycle, redis: Any, server_now: float
) -> None:
    cycle.write([a_state(f"S{n}", server_now - 3600 * n) for n in range(5)])
    plain_hset(redis, "IMMORTAL", {"bull:1mo": "0.5"})
    page = operator_client.get(PAGE).content.decode()
    assert "States without expiry" in page
    assert "1-" in page
    assert "on time" in page
    assert page.count("<rect") == 24


def test_a_symbol_is_shown_as_a_heat_map(operator_client: Client, cycle: Cycle, redis: Any, server_now: float) -> None:
    cycle.write([a_state("BTC/USDT", server_now)])
    page = operator_client.get(PAGE, {"symbol": "btc/usdt"}).content.decode()
    assert "<strong>BTC/USDT</strong>: current" in page
    assert page.count("avo-heat-") == len(FIELDS)
    plain_hset(redis, "X", {"bull:1mo": "bad"})
    assert "unknown age" in operator_client.get(PAGE, {"symbol": "X"}).content.decode()
    assert "No state is kept" in operator_client.get(PAGE, {"symbol": "NOBODY"}).content.decode()


@pytest.mark.parametrize("symbol", ["BTC/USDT", "^GSPC", "BRK.B", "EURUSD=X", "A<B>&'\"", "A" * 64])
def test_any_symbol_is_found(operator_client: Client, cycle: Cycle, redis: Any, server_now: float, symbol: str) -> None:
    cycle.write([a_state(symbol, server_now)])
    page = operator_client.get(PAGE, {"symbol": symbol.lower()}).content.decode()
    assert f"<strong>{escape(symbol.upper())}</strong>: current" in page
    assert page.count("avo-heat-") == len(FIELDS)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("A\nB", "printable ASCII"),
        ("A\x7fB", "printable ASCII"),
        ("A B", "printable ASCII"),
        ("<b> é", "printable ASCII"),
        ("ÄPFEL", "printable ASCII"),
        ("A" * 65, "1 to 64 characters, not 65"),
    ],
)
def test_what_is_no_symbol_is_refused(operator_client: Client, redis: Any, text: str, why: str) -> None:
    page = operator_client.get(PAGE, {"symbol": text}).content.decode()
    assert why in page
    assert "<b>" not in page
    assert "avo-heat-" not in page


def test_an_empty_cache_has_a_page_too(operator_client: Client, redis: Any) -> None:
    assert operator_client.get(PAGE).status_code == 200


@pytest.mark.real_server
def test_a_backfill_asks_first_runs_and_is_logged(operator_client: Client, redis: Any, server_now: float) -> None:
    plain_hset(redis, "X", {"computed_at": server_now, "bull:1mo": "0.5"})
    asked = operator_client.post(f"{PAGE}do/backfill/")
    assert b"remaining TTL" in asked.content
    assert redis.ttl("argus:regime:X") == -1
    assert operator_client.get(f"{PAGE}do/backfill/").status_code == 405
    operator_client.post(f"{PAGE}do/backfill/", {"confirmed": "yes", "reason": "test"})
    joined("ttl-backfill")
    assert redis.ttl("argus:regime:X") > 0
    assert LogEntry.objects.filter(change_message__startswith="Backfill TTLs: Started").count() == 1
    assert "fixed" in operator_client.get(PAGE).content.decode()


def test_a_second_backfill_beside_a_running_one_is_refused(operator_client: Client, redis: Any) -> None:
    import time

    BackfillLog(redis).note("running", time.time(), False, {"scanned": 1})
    page = operator_client.post(
        f"{PAGE}do/backfill/", {"confirmed": "yes", "reason": "test"}, follow=True
    ).content.decode()
    assert "already running" in page


def test_a_refresh_publishes_a_collection(operator_client: Client, redis: Any, server_now: float) -> None:
    plain_hset(redis, "X", {"computed_at": server_now, "bull:1mo": "0.5"})
    page = operator_client.post(
        f"{PAGE}do/refresh/", {"confirmed": "yes", "reason": "test"}, follow=True
    ).content.decode()
    assert "Current=1 expired=0" in page


def test_who_may_only_look_may_not_repair(client: Client, redis: Any, django_user_model: Any, db: None) -> None:
    user = django_user_model.objects.create_user("viewer", is_staff=True)
    client.force_login(user)
    assert client.get(PAGE).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_regimecache"))
    page = client.get(PAGE)
    assert page.status_code == 200
    assert "Backfill" not in page.content.decode()
    assert client.post(f"{PAGE}do/backfill/", {"confirmed": "yes", "reason": "test"}).status_code == 403


def test_the_macro_tables_can_be_looked_at_and_not_changed(operator_client: Client, redis: Any) -> None:
    assert operator_client.get("/admin/regime/macroobservation/").status_code == 200
    assert operator_client.get("/admin/regime/macroseries/").status_code == 200
    assert operator_client.get("/admin/regime/macroobservation/add/").status_code == 403


def gauges() -> dict[str, float]:
    return {sample.name: sample.value for metric in live_metrics() for sample in metric.samples}


def test_the_gauges_tell_of_immortal_states_and_late_cycles(cycle: Cycle, redis: Any, server_now: float) -> None:
    assert "avo_regime_cycle_age_seconds" not in gauges()
    cycle.write([a_state(f"S{n}", server_now) for n in range(20)])
    healthy = gauges()
    assert healthy["avo_regime_keys_without_ttl"] == 0
    assert healthy["avo_regime_cycle_states"] == 20
    assert healthy["avo_regime_cycle_overdue"] == 0
    assert healthy["avo_regime_states_estimated"] == 20
    for n in range(20):
        redis.persist(f"argus:regime:S{n}")
    assert gauges()["avo_regime_keys_without_ttl"] == 20
    redis.hset("avo:{regime}:pointer", "cycle_ended_at", server_now - 13 * 3600)
    assert gauges()["avo_regime_cycle_overdue"] == 1


def test_old_data_turns_the_card_amber(
    operator_client: Client, cycle: Cycle, redis: Any, server_now: float, caplog: pytest.LogCaptureFixture
) -> None:
    cycle.write([replace(a_state(f"S{n}", server_now), data_through=b"2026-01-05") for n in range(3)])
    assert gauges()["avo_regime_old_data_states"] == 3
    page = operator_client.get(PAGE, {"symbol": "S1"}).content.decode()
    assert "States with data older than 4 days" in page
    assert page.count("2026-01-05") == 2
    card = health(server_now)
    assert card.level is Level.AMBER
    assert "3 of 3 states ended more than 4 days ago (newest data_through: 2026-01-05)" in card.message
    refresher = Refresher.connect(lambda: server_now)
    for _ in range(2):
        refresher.step()
    assert [record.message for record in caplog.records if "ended more than" in record.message] == [
        "the data of 3 of 3 states ended more than 4 days ago"
    ]
    cycle.write([a_state(f"S{n}", server_now) for n in range(3)])
    assert health(server_now).level is Level.GREEN


def test_ages_are_counted_by_hour(cycle: Cycle, server_now: float) -> None:
    cycle.write([a_state(f"S{n}", server_now - n * 3600 - 60) for n in (0, 0, 5, 23)])
    hours = RegimeInspection.connect().ages_by_hour()
    assert {hour: count for hour, count in enumerate(hours) if count} == {0: 1, 5: 1, 23: 1}
