"""No request scans keys, and none sends Redis more than three commands, its share of limits included."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from regime.services.cycle import Cycle
from regime.store.answer_cache import AnswerCache
from tests.regime.states import a_state
from tests.regime.test_pages import joined
from tests.regime.web_process import forget

pytestmark = [pytest.mark.real_server, pytest.mark.django_db]

REGIME = "/api/intelligence/regime"
ROUTES = [
    f"{REGIME}/S1",
    f"{REGIME}/NOBODY",
    f"{REGIME}/S1?max_age=0.001",
    REGIME,
    f"{REGIME}?order=-score&regime=bull&min_score=0.1&limit=1000",
    f"{REGIME}?symbols=S1,S2",
    "/api/macro",
    "/api/macro/UNRATE",
    "/api/macro/UNRATE?vintage=2016-07-01&start=2016-01-01",
    "/api/macro/NOPE",
]


@pytest.fixture(autouse=True)
def fresh_process(redis_of: Any) -> Iterator[None]:
    forget()
    yield
    forget()


def commands_of(redis: Any, request: Callable[[], Any]) -> list[str]:
    """What clients, not scripts, sent while ``request`` ran."""
    with redis.monitor() as monitor:
        redis.echo("begin")  # on the connection that the request will find: the monitor took the one before
        request()
        redis.echo("end")
        heard = until_the_end(monitor)
    return [one["command"].split()[0].upper() for one in heard if one["client_type"] != "lua"]


def until_the_end(monitor: Any) -> list[dict[str, Any]]:
    heard: list[dict[str, Any]] = []
    for one in monitor.listen():
        if one["command"] == "ECHO end":
            break
        heard.append(one)
    begin = next(index for index, one in enumerate(heard) if one["command"] == "ECHO begin")
    return heard[begin + 1 :]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("is_warm", [False, True], ids=["cold", "warm"])
def test_a_request_sends_at_most_three_commands(
    client: Client, redis: Any, cycle: Cycle, route: str, is_warm: bool, tmp_path: Path
) -> None:
    file = tmp_path / "macro.csv"
    file.write_text("series_id,date,vintage,value\nUNRATE,2016-01-01,2016-02-01,4.9\n")
    call_command("load_macro", str(file))
    cycle.write([a_state(f"S{n}", time.time()) for n in range(20)])
    client.get("/api/limits")  # connects and loads the scripts of the limits
    AnswerCache.connect().take("another", 0.0)
    if is_warm:
        client.get(route)
        joined("collection-load")
    sent = commands_of(redis, lambda: client.get(route))
    assert len(sent) <= 3, sent
    assert not {"SCAN", "KEYS"} & set(sent)
