import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from rest_framework.authtoken.models import Token

from signals_app import keys
from signals_app.models import Execution
from signals_app.services import inspection
from signals_app.services.event_page import EventPage, EventQuery
from signals_app.store.stream import SignalStream
from tests.signals_app.conftest import event, fields

_QUERY_STRINGS = json.loads((Path(__file__).parent / "data" / "query_strings.json").read_text())["cases"]


@pytest.fixture
def api(operator: Any) -> Any:
    token = Token.objects.create(user=operator)
    return Client(headers={"Authorization": f"Token {token.key}"})


def symbols(answer: Any) -> list[str]:
    return [result["symbol"] for result in answer.json()["results"]]


@pytest.mark.django_db
def test_anonymous_callers_get_a_401(stream: SignalStream) -> None:
    answer = Client().get("/api/signals")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"]
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == 401


@pytest.mark.django_db
def test_a_wrong_token_is_refused_not_taken_as_anonymous(stream: SignalStream) -> None:
    assert Client(headers={"Authorization": "Token nonsense"}).get("/api/signals").status_code == 401


def test_a_session_is_enough(operator_client: Any, stream: SignalStream) -> None:
    assert operator_client.get("/api/signals").status_code == 200


def test_without_a_stream_there_are_no_results(api: Any, redis_client: Any) -> None:
    answer = api.get("/api/signals")
    assert (answer.status_code, answer.json()) == (200, {"count": 0, "next": None, "results": []})


def test_events_come_newest_first_with_everything_they_carry(api: Any, stream: SignalStream) -> None:
    now_ms = int(time.time() * 1000)
    published = stream.publish(
        [event(1), event(2, published_at_ms=now_ms, extra={"desk": "é"})], publisher="p", batch=1
    )
    newest, oldest = api.get("/api/signals").json()["results"]
    assert newest == {
        "id": published.entry_ids[1],
        "signal_id": "00000000-0000-0000-0000-000000000002",
        "symbol": "AAPL",
        "direction": "long",
        "confidence": 0.5,
        "published_at": now_ms,
        "extra": {"desk": "é"},
    }
    assert (oldest["published_at"], oldest["extra"]) == (None, {})


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["D", "C", "B", "A"]),
        ("symbol=B", ["B"]),
        ("direction=short", ["D", "B"]),
        ("min_confidence=0.5", ["D", "C"]),
        ("direction=short&min_confidence=0.6", ["D"]),
        ("limit=3", ["D", "C", "B"]),
        ("symbol=NONE", []),
    ],
)
def test_filters(api: Any, stream: SignalStream, query: str, expected: list[str]) -> None:
    stream.publish(
        [
            event(number, symbol=symbol, direction="short" if number % 2 else "long", confidence=number / 4)
            for number, symbol in enumerate("ABCD")
        ],
        publisher="p",
        batch=1,
    )
    assert symbols(api.get(f"/api/signals?{query}")) == expected


def test_pages_follow_each_other_without_gap_or_repeat(api: Any, stream: SignalStream) -> None:
    stream.publish([event(number, symbol=f"S{number}") for number in range(7)], publisher="p", batch=1)
    seen, before = [], ""
    while before is not None:
        page = api.get(f"/api/signals?limit=3&before={before}").json()
        seen += [result["symbol"] for result in page["results"]]
        before = page["next"]
    assert seen == [f"S{number}" for number in range(6, -1, -1)]


@pytest.mark.parametrize(
    ("query", "cost"),
    [("", 1), ("?limit=1000", 2), ("?symbol=ZZ", 3), ("?direction=long", 1), ("?min_confidence=1", 3)],
)
def test_a_query_costs_as_much_as_it_reads(api: Any, stream: SignalStream, query: str, cost: int) -> None:
    for batch in range(1, 4):
        stream.publish([event(number) for number in range(400)], publisher="p", batch=batch)
    answer = api.get(f"/api/signals{query}")
    assert answer.status_code == 200
    assert answer.throttle_cost == cost


def test_a_query_of_a_whole_page_of_reading_costs_twenty(
    api: Any, stream: SignalStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = EventPage([], "1-0", EventQuery().max_read)
    monkeypatch.setattr(inspection, "events", lambda query: page)
    answer = api.get("/api/signals?symbol=ZZ")
    assert (answer.throttle_cost, answer.headers["RateLimit"].partition(";t=")[0]) == (20, '"minute";r=5980')


def test_what_is_no_event_is_left_out(api: Any, redis_client: Any) -> None:
    redis_client.xadd(keys.LIVE, {"x": "y"})
    redis_client.xadd(keys.LIVE, fields(1))
    assert symbols(api.get("/api/signals")) == ["AAPL"]


@pytest.mark.parametrize(("query", "refused"), _QUERY_STRINGS)
def test_a_bad_question_names_its_fields(api: Any, stream: SignalStream, query: str, refused: list[str]) -> None:
    answer = api.get(f"/api/signals?{query}")
    assert answer.status_code == (400 if refused else 200)
    assert answer.headers["Content-Type"] == ("application/problem+json" if refused else "application/json")
    assert sorted(answer.json().get("errors", {})) == refused


def test_a_symbol_is_found_in_any_letter_case(api: Any, stream: SignalStream) -> None:
    stream.publish([event(1, symbol="BTC/USDT"), event(2, symbol="btc/usdt")], publisher="p", batch=1)
    assert symbols(api.get("/api/signals?symbol=Btc/usdt")) == ["btc/usdt", "BTC/USDT"]


@pytest.mark.parametrize("before", ["0", "0-0", "00000-0", f"{2**64 - 1}", f"{2**64 - 1}-{2**64 - 1}", "1"])
def test_the_ends_of_all_ids_are_places_to_look_from(api: Any, stream: SignalStream, before: str) -> None:
    stream.publish([event(1)], publisher="p", batch=1)
    answer = api.get("/api/signals", {"before": before})
    assert (answer.status_code, answer.json()["count"]) == (200, int(before.startswith("1844")))


@pytest.mark.parametrize("before", ["-", "+", "(1-1", "-1", f"{2**64}", f"1-{2**64}", "1-", "1-1-1", "\u0661-1", "1\n"])
def test_what_is_no_id_is_refused(api: Any, stream: SignalStream, before: str) -> None:
    stream.publish([event(1)], publisher="p", batch=1)
    assert api.get("/api/signals", {"before": before}).status_code == (200 if before == "1\n" else 400)


def signed_in(django_user_model: Any, *codenames: str, is_staff: bool = False) -> Client:
    user = django_user_model.objects.create_user("caller", is_staff=is_staff)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return Client(headers={"Authorization": f"Token {Token.objects.create(user=user).key}"})


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("codenames", "is_staff", "sees"),
    [
        ([], False, True),
        ([], True, False),
        (["view_livestream"], False, False),
        (["view_livestream"], True, False),
        (["view_livestream", "view_event_payload"], True, True),
        (["view_event_payload"], False, True),
    ],
)
def test_admin_users_see_the_same_fields_as_in_the_admin(
    django_user_model: Any, stream: SignalStream, codenames: list[str], is_staff: bool, sees: bool
) -> None:
    stream.publish([event(1, extra={"desk": "long"})], publisher="p", batch=1)
    api = signed_in(django_user_model, *codenames, is_staff=is_staff)
    [found] = api.get("/api/signals").json()["results"]
    assert found["symbol"] == "AAPL"
    shown = (found["direction"], found["confidence"], found["extra"])
    assert shown == (("long", 0.5, {"desk": "long"}) if sees else (None, None, {}))
    for query in ("direction=long", "min_confidence=0.5"):
        assert api.get(f"/api/signals?{query}").status_code == (200 if sees else 403)


@pytest.mark.parametrize("sees", [False, True])
def test_executions_show_directions_to_users_with_the_permission(
    django_user_model: Any, client: Client, stream: SignalStream, sees: bool
) -> None:
    made = Execution.objects.create(
        signal_id=uuid.uuid4(), symbol="AAPL", direction="flat", confidence=0.123, executed_at=timezone.now()
    )
    user = django_user_model.objects.create_user("viewer", is_staff=True)
    codenames = ["view_execution", *(["view_event_payload"] if sees else [])]
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(user)
    page = "/admin/signals_app/execution/"
    for path in (page, f"{page}{made.pk}/change/"):
        shown = client.get(path).content.decode()
        assert "AAPL" in shown
        assert ("0.123" in shown) is sees
    for query in ("direction__exact=flat", "confidence__gt=0.1"):
        assert client.get(f"{page}?{query}").status_code == (200 if sees else 400)
