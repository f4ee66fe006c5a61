"""The system status on the admin index: health cards by permission, whatever is down."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from redis.exceptions import ConnectionError as RedisConnectionError

from avo_project.console import home
from avo_project.console.registry import HealthStatus, Level, RoleConsole, consoles
from avo_project.redis_client.monitoring import Pinger, server_of

pytestmark = pytest.mark.django_db
LIVE = "/admin/console/live.json"


def down(now: float) -> HealthStatus:
    raise RedisConnectionError("gone while it was asked")


def with_health(console: RoleConsole, health: Callable[[float], HealthStatus]) -> RoleConsole:
    return replace(console, health=health)


def test_every_role_has_a_card_with_word_icon_figure_and_link(operator_client: Any, redis_of: Any) -> None:
    page = operator_client.get("/admin/").content.decode()
    for title, url in (
        ("Regime cache", "/admin/regime/regimecache/"),
        ("Signal stream", "/admin/signals_app/livestream/"),
        ("Outreach queue", "/admin/outreach/outreachqueue/"),
        ("Rate limits", "/admin/throttling/ratelimits/"),
    ):
        assert f'<h2><a href="{url}">{title}</a></h2>' in page
    assert page.count('class="avo-card"') == 4
    assert 'data-level="amber"' in page  # nothing has run yet
    assert "Warning" in page
    assert "no states yet" in page


def test_a_user_sees_the_roles_they_may_view(client: Any, redis_of: Any, django_user_model: Any) -> None:
    staff = django_user_model.objects.create_user("staff", is_staff=True)
    client.force_login(staff)
    assert client.get(LIVE).json()["panels"] == []
    assert "You have no permission to view a role" in client.get("/admin/").content.decode()
    staff.user_permissions.add(Permission.objects.get(codename="view_ratelimits"))
    assert [panel["title"] for panel in client.get(LIVE).json()["panels"]] == ["Rate limits"]
    client.logout()
    assert client.get(LIVE).status_code == 302


def test_the_cards_have_an_etag(operator_client: Any, redis_of: Any) -> None:
    first = operator_client.get(LIVE)
    assert operator_client.get(LIVE, headers={"If-None-Match": first["ETag"]}).status_code == 304
    assert operator_client.post(LIVE).status_code == 405


def test_a_role_that_is_down_is_red_and_the_others_are_told(
    operator_client: Any, redis_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ping(alias: str) -> None:
        if alias == "signals":
            raise RedisConnectionError("connection refused")

    monkeypatch.setattr(home, "SERVER_PINGER", Pinger(ping))
    answer = operator_client.get(LIVE)
    assert answer.status_code == 200
    html = {panel["title"]: panel["html"] for panel in answer.json()["panels"]}
    assert 'data-level="red"' in html["Signal stream"]
    assert "Redis is unavailable: connection refused" in html["Signal stream"]
    assert "Critical" in html["Signal stream"]
    assert all('data-level="red"' not in html[title] for title in html if title != "Signal stream")


def test_a_role_that_goes_down_while_it_is_asked_is_red(redis_of: Any) -> None:
    [console] = consoles(["regime"])
    [card] = home.cards([with_health(console, down)], time.time())
    assert (card.health.level, card.health.figure) == (Level.RED, "unknown")
    assert "gone while it was asked" in card.health.message


def test_an_error_in_one_health_check_leaves_the_other_cards(redis_of: Any) -> None:
    def broken(now: float) -> HealthStatus:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "planted")

    regime, signals = consoles(["regime", "signals"])
    first, second = home.cards([with_health(regime, broken), signals], time.time())
    assert (first.health.level, first.health.figure) == (Level.RED, "unknown")
    assert second.health.figure != "unknown"


def test_a_server_that_hangs_is_given_up_and_asked_by_one_thread() -> None:
    release, asked = threading.Event(), []

    def ping(alias: str) -> None:
        asked.append(alias)
        if alias == "slow":
            release.wait()

    pinger = Pinger(ping)
    for _ in range(3):
        failures = pinger.failures(["slow", "quick"], 0.05)
        assert failures["slow"] == "no answer within 0.05 s"
    assert asked.count("slow") == 1
    release.set()
    assert pinger.failures(["slow", "quick"], 10.0) == {"slow": "", "quick": ""}


def test_aliases_on_one_server_are_asked_once(redis_of: Any) -> None:
    asked = []
    pinger = Pinger(asked.append, server_of)
    assert pinger.failures(["regime", "signals", "outreach"], 10.0) == {"regime": "", "signals": "", "outreach": ""}
    assert len(asked) == len({server_of(alias) for alias in ("regime", "signals", "outreach")})


def test_the_console_asks_the_browser_for_nothing_foreign_or_inline(operator_client: Any, redis_of: Any) -> None:
    answer = operator_client.get("/admin/")
    assert answer["Content-Security-Policy"].startswith("default-src 'self'")
    page = answer.content.decode()
    assert "<script>" not in page
    assert " style=" not in page
