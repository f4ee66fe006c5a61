"""JSON of the live pages: strong ETags, permission, Redis down, and the cost of a refresh."""

import itertools
import time
from typing import Any

import pytest
from django.contrib.auth.models import Permission

from outreach.models import Inbox
from outreach.services.intake import Intake
from signals_app.domain.event import parse_fields
from signals_app.store.group import ConsumerGroup
from signals_app.store.stream import SignalStream
from tests.avo_project import live_pages
from throttling.store.usage_stats import UsageStats

pytestmark = pytest.mark.django_db
PAGES = {
    "regime": "/admin/regime/regimecache/",
    "signals": "/admin/signals_app/livestream/",
    "outreach": "/admin/outreach/outreachqueue/",
    "throttling": "/admin/throttling/ratelimits/",
}
MAX_COMMANDS = 20


@pytest.mark.urls("tests.avo_project.live_pages")
class TestAnyPage:
    LIVE = "/admin/auth/group/live.json"

    @pytest.fixture(autouse=True)
    def up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(live_pages, "down", False)

    def test_the_panels_come_as_fragments_with_a_strong_etag(self, operator_client: Any) -> None:
        first = operator_client.get(self.LIVE)
        [panel] = first.json()["panels"]
        assert (panel["id"], panel["title"]) == ("panel-1", "Lanes")
        assert "&lt;b&gt;a&lt;/b&gt;" in panel["html"]
        assert first.json()["as_of"].endswith("+00:00")
        assert first["ETag"].startswith('"')
        unchanged = operator_client.get(self.LIVE, headers={"If-None-Match": first["ETag"]})
        assert (unchanged.status_code, unchanged.content, unchanged["ETag"]) == (304, b"", first["ETag"])
        assert not unchanged.has_header("Content-Length")
        assert operator_client.get(self.LIVE, headers={"If-None-Match": '"other"'}).status_code == 200

    def test_the_page_names_its_source_and_carries_no_inline_code(self, operator_client: Any) -> None:
        page = operator_client.get("/admin/auth/group/?lane=a").content.decode()
        assert 'data-url="live.json?lane=a"' in page
        assert 'id="panel-1"' in page
        assert " style=" not in page
        assert "<style" not in page
        assert "onclick" not in page

    def test_redis_down_is_said(self, operator_client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(live_pages, "down", True)
        answer = operator_client.get(self.LIVE)
        assert answer.status_code == 503
        assert "Redis is unavailable" in answer.json()["failure"]

    def test_only_who_may_view_gets_it_and_only_by_get(
        self, client: Any, operator_client: Any, django_user_model: Any
    ) -> None:
        assert operator_client.post(self.LIVE).status_code == 405
        client.logout()
        assert client.get(self.LIVE).status_code == 302
        staff = django_user_model.objects.create_user("staff", is_staff=True)
        client.force_login(staff)
        assert client.get(self.LIVE).status_code == 403
        staff.user_permissions.add(Permission.objects.get(codename="view_group"))
        assert client.get(self.LIVE).status_code == 200

    def test_a_button_of_a_row_brings_its_values(self, operator_client: Any) -> None:
        [panel] = operator_client.get(self.LIVE).json()["panels"]
        assert 'form="avo-act" formaction="do/drain/" name="given" value="lane=a+%26+b"' in panel["html"]
        asked = operator_client.post("/admin/auth/group/do/drain/", {"given": "lane=a+%26+b"}).content.decode()
        assert '<input type="hidden" name="lane" value="a &amp; b">' in asked
        assert 'name="given"' not in asked

    def test_a_viewer_sees_no_button(self, client: Any, django_user_model: Any) -> None:
        staff = django_user_model.objects.create_user("staff", is_staff=True)
        staff.user_permissions.add(Permission.objects.get(codename="view_group"))
        client.force_login(staff)
        assert "<button" not in client.get(self.LIVE).json()["panels"][0]["html"]


def commands_during(redis: Any, what: Any) -> dict[str, int]:
    """The Redis commands that ``what`` costs, those inside scripts included."""
    redis.config_resetstat()
    what()
    stats = redis.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): figures["calls"] for name, figures in stats.items()}
    return {name: count for name, count in calls.items() if name not in ("config|resetstat", "info", "client|setname")}


@pytest.fixture
def a_full_system(redis_of: Any) -> None:
    stream = SignalStream.connect()
    stream.make_default_group()
    for batch in range(30):
        events = [
            parse_fields(
                {
                    "signal_id": f"00000000-0000-4000-8000-{batch:06}{n:06}",
                    "symbol": "AAPL",
                    "direction": "long",
                    "confidence": "0.5",
                }
            )
            for n in range(100)
        ]
        stream.publish(events, publisher="p", batch=batch)
    for number, name in enumerate(("apex-group", "audit", "desk", "risk", "tape")):
        group = ConsumerGroup.connect(name)
        group.make()
        group.acquire_name(["one"], "token")
        group.read("one", count=50 * (number + 1), block_ms=0)
    for n in range(60):
        Inbox.objects.create(address=f"inbox{n}@example.com", per_minute=1 + n % 3, paused=n % 7 == 0)
    for n in range(300):
        redis_of("regime").hset(f"argus:regime:S{n}", "bull:1mo", "0.5")
    intake = Intake.connect(time.time)
    for n in range(120):
        intake.accept(
            {"inbox": f"inbox{n % 60}@example.com", "recipient": f"r{n}@example.com", "subject": "s", "body": "b"}
        )
    UsageStats.connect().add(
        {("free", f"user:user_{n}"): n for n in range(500)},
        {("free", "user:user_7"): 11, ("pro", "user:user_8"): 3},
        time.time(),
    )


@pytest.mark.real_server
@pytest.mark.usefixtures("a_full_system")
@pytest.mark.parametrize("page", ["/admin/console/", *PAGES.values()])
def test_a_refresh_costs_redis_few_commands(operator_client: Any, redis_of: Any, page: str) -> None:
    """All roles share the suite's server, so what a page asks of any of them counts."""
    assert operator_client.get(f"{page}live.json").status_code == 200
    costs = commands_during(redis_of("signals"), lambda: operator_client.get(f"{page}live.json"))
    print(page, sum(costs.values()), costs)
    assert sum(costs.values()) <= MAX_COMMANDS, costs


WHOLE_READS = {"keys", "scan", "smembers", "hvals", "hkeys", "sort"}
SMALL_HASH = 200


@pytest.mark.real_server
@pytest.mark.usefixtures("a_full_system")
@pytest.mark.parametrize("path", ["/admin/", *PAGES.values()])
def test_no_page_reads_a_whole_keyspace_list_or_big_hash(operator_client: Any, redis_of: Any, path: str) -> None:
    """Neither the page, nor its refresh, nor its charts, nor the reasons of what stands on it."""
    redis, stem = redis_of("default"), "/admin/console/" if path == "/admin/" else path
    of = ("AAPL", "inbox1@example.com", "user:user_7", f"00000000-0000-4000-8000-{0:012}")
    asked = [path, f"{stem}live.json", *(f"/admin/console/explain/?of={one}" for one in of)]
    if stem == path:
        asked += [f"{path}history.json?range={span}" for span in ("1h", "24h", "30d")]
    with redis.monitor() as monitor:
        assert {operator_client.get(one).status_code for one in asked} == {200}
        redis.echo("end of the pages")
        said = list(itertools.takewhile(lambda one: "end of the pages" not in one["command"], monitor.listen()))
    commands = [one["command"].split() for one in said]
    assert len(commands) > 10
    whole_lists = [one for one in commands if one[0].lower() == "lrange" and one[2:] == ["0", "-1"]]
    assert [*whole_lists, *(one for one in commands if one[0].lower() in WHOLE_READS)] == []
    hashes = {one[1] for one in commands if one[0].lower() == "hgetall"}
    assert {name: size for name in hashes if (size := redis.hlen(name)) > SMALL_HASH} == {}
