"""All writers stopped, and a day later: every route says so and none shows an old score.

The states are stamped so that their day ends while the test looks on, once with an expiry and once without.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from regime.domain.freshness import LIFE_SECONDS
from regime.services.cycle import Cycle
from regime.services.inspection import RegimeInspection
from regime.services.transitions import changes_of_dominant_regime
from regime.store.collection_store import CollectionStore
from tests.end_to_end.system import eventually
from tests.regime.states import only
from tests.regime.web_process import forget, fresh_web_process

pytestmark = [pytest.mark.real_server, pytest.mark.django_db]

REGIME = "/api/intelligence/regime"
SCORE = 0.8765
SYMBOLS = [f"S{number}" for number in range(5)]


@pytest.fixture(params=["with expiry", "without expiry"])
def last_second(request: Any, redis_of: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """States with three seconds to live, written by a cycle; then, perhaps, robbed of their expiry."""
    stamp = time.time() - LIFE_SECONDS + 3
    Cycle.connect(time.time).write(only(symbol, stamp, bull_1mo=SCORE) for symbol in SYMBOLS)
    client = redis_of("regime")
    if request.param == "without expiry":
        for symbol in SYMBOLS:
            client.persist(f"argus:regime:{symbol}")
    with fresh_web_process(monkeypatch):
        yield client


def shown(client: Client) -> str:
    pages = [client.get(f"{REGIME}/S1"), client.get(f"{REGIME}?order=-score"), client.get(f"{REGIME}?symbols=S1,S2")]
    return "".join(page.content.decode() for page in pages)


def test_a_day_later_no_route_shows_an_old_score(client: Client, last_second: Any) -> None:
    assert str(SCORE) in shown(client)
    cursor = client.get(f"{REGIME}?limit=2").json()["next"]
    tag = client.get(f"{REGIME}?limit=3").headers["ETag"]

    eventually(lambda: client.get(f"{REGIME}/S1").status_code == 404)
    assert client.get(f"{REGIME}/S1").json()["type"].endswith(":stale-regime")
    collection = client.get(REGIME).json()
    assert (collection["symbols"], collection["count"], collection["results"]) == (0, 0, [])
    assert set(collection["timeframes"]["1mo"]["counts"].values()) == {0}
    assert collection["timeframes"]["1mo"]["mean_scores"]["bull"] is None
    assert client.get(f"{REGIME}?limit=2&cursor={cursor}").json()["results"] == []
    assert client.get(f"{REGIME}?limit=3", headers={"If-None-Match": tag}).status_code == 200
    assert str(SCORE) not in shown(client)


def test_a_day_later_nothing_changed_and_the_admin_says_expired(
    client: Client, operator_client: Client, last_second: Any
) -> None:
    eventually(lambda: client.get(f"{REGIME}/S1").status_code == 404)
    assert changes_of_dominant_regime("1mo")[1] == []
    assert sum(RegimeInspection.connect().ages_by_hour()) == 0
    page = operator_client.get("/admin/regime/regimecache/?symbol=S1").content.decode()
    assert "No state is kept for S1" in page or "S1</strong>: expired" in page


def test_a_day_later_a_fresh_process_shows_none_either(client: Client, last_second: Any) -> None:
    eventually(lambda: client.get(f"{REGIME}/S1").status_code == 404)
    forget()
    last_second.delete(f"avo:{{regime}}:collection:{CollectionStore.connect().valid().version}")
    assert client.get(REGIME).json()["symbols"] == 0
    assert str(SCORE) not in shown(client)
