import gzip
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest
import zstandard
from django.test import Client

from regime.domain.freshness import LIFE_SECONDS
from regime.domain.state import DEFAULT_TIMEFRAME, FIELDS, REGIMES, TIMEFRAMES
from regime.services.cycle import Cycle
from regime.services.refresher import Refresher
from tests.regime.states import a_state, only, plain_hset
from tests.regime.web_process import fresh_web_process

URL = "/api/intelligence/regime"
_IF_NONE_MATCH = json.loads((Path(__file__).parent / "data" / "if_none_match.json").read_text())
_QUERY_STRINGS = json.loads((Path(__file__).parent / "data" / "query_strings.json").read_text())["cases"]


@pytest.fixture(autouse=True)
def fresh_process(redis_of: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with fresh_web_process(monkeypatch):
        yield


def get(client: Client, path: str = "", **headers: str) -> Any:
    return client.get(f"{URL}{path}", headers=headers)


def problem(response: Any) -> str:
    assert response.headers["Content-Type"] == "application/problem+json"
    return str(response.json()["type"]).rpartition(":")[2]


@pytest.fixture
def now() -> float:
    return float(int(time.time()))


# One symbol


def test_a_current_state_is_answered_in_full(client: Client, cycle: Cycle, now: float) -> None:
    state = a_state("EURUSD=X", now - 100)
    cycle.write([state])
    response = get(client, "/eurusd=x")
    answer = response.json()
    assert response.status_code == 200
    assert list(answer) == ["symbol", "computed_at", "age_seconds", "expires_at", "data_through", "scores", "dominant"]
    assert (answer["symbol"], answer["computed_at"]) == ("EURUSD=X", now - 100)
    assert 100 <= answer["age_seconds"] <= 110
    assert answer["expires_at"] == now - 100 + LIFE_SECONDS
    flat = tuple(answer["scores"][tf][regime] for tf in TIMEFRAMES for regime in REGIMES)
    assert flat == state.scores
    best = {tf: max(answer["scores"][tf], key=answer["scores"][tf].get) for tf in TIMEFRAMES}
    assert answer["dominant"] == best
    assert response.headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize("symbol", ["BTC/USDT", "^GSPC", "BRK.B", "EURUSD=X", "A?B", "100%", "A+B", "#", "A" * 64])
def test_every_valid_symbol_has_its_route(client: Client, cycle: Cycle, now: float, symbol: str) -> None:
    cycle.write([a_state(symbol, now)])
    assert get(client, f"/{quote(symbol, safe='/')}").json()["symbol"] == symbol
    assert get(client, f"/{quote(symbol, safe='')}").json()["symbol"] == symbol
    listed = get(client, f"?symbols={quote(symbol, safe='')}").json()
    assert [row["symbol"] for row in listed["results"]] == [symbol]


@pytest.mark.parametrize("symbol", ["A B", "A\n", "\x00", "É", "A" * 65, "\x7f"])
def test_an_invalid_symbol_is_refused_by_name(client: Client, symbol: str) -> None:
    response = get(client, f"/{quote(symbol, safe='')}")
    assert response.status_code == 400
    assert problem(response) == "invalid-request"
    assert "symbol" in response.json()["errors"]
    assert get(client, f"?symbols=A,{quote(symbol, safe='')}").status_code == 400


def test_unknown_is_not_stale(client: Client, redis: Any, now: float) -> None:
    assert problem(get(client, "/NOBODY")) == "unknown-symbol"
    plain_hset(redis, "OLD", {"computed_at": now - LIFE_SECONDS, "bull:1mo": "0.5"})
    stale = get(client, "/OLD")
    assert stale.status_code == 404
    assert problem(stale) == "stale-regime"
    assert stale.json()["freshness"] == "expired"
    assert "0.5" not in stale.content.decode()


@pytest.mark.parametrize("fields", [{}, {"computed_at": "soon"}, {"computed_at": "9999999999"}])
def test_a_state_of_unknown_or_future_age_is_stale(client: Client, redis: Any, fields: dict[str, str]) -> None:
    plain_hset(redis, "X", {"bull:1mo": "0.5", **fields})
    assert problem(get(client, "/X")) == "stale-regime"


def test_a_plain_hset_is_seen_at_once(client: Client, cycle: Cycle, redis: Any, now: float) -> None:
    cycle.write([a_state("X", now)])
    get(client, "/X")
    plain_hset(redis, "X", {"bull:1mo": "0.111", "computed_at": now})
    assert get(client, "/X").json()["scores"]["1mo"]["bull"] == 0.111


def test_bad_fields_are_left_out_and_counted(client: Client, redis: Any, now: float) -> None:
    before = counted()
    plain_hset(redis, "X", {"computed_at": now, "bull:1mo": "a lot", "bear:1mo": "1.5", "calm:1mo": "0.5"})
    answer = get(client, "/X").json()
    assert answer["scores"]["1mo"] == {"bull": None, "bear": None, "sideways": None, "volatile": None, "calm": 0.5}
    assert answer["dominant"]["1mo"] == "calm"
    assert answer["dominant"]["1w"] is None
    assert counted() == before + 2


def counted() -> float:
    from regime.api.views import BAD_FIELDS

    [metric] = BAD_FIELDS.collect()
    return next(sample.value for sample in metric.samples if sample.name.endswith("_total"))


def test_a_key_of_another_type_is_no_state(client: Client, redis: Any) -> None:
    redis.set("argus:regime:X", "oops")
    assert problem(get(client, "/X")) == "unknown-symbol"


def test_max_age_asks_for_a_younger_state(client: Client, cycle: Cycle, now: float) -> None:
    cycle.write([a_state("X", now - 100)])
    assert get(client, "/X?max_age=200").status_code == 200
    assert problem(get(client, "/X?max_age=50")) == "stale-regime"
    refused = get(client, "/X?max_age=100").json()
    assert refused["age_seconds"] > 100
    assert f"it is {refused['age_seconds']} s old and max_age is 100 s" in refused["detail"]
    assert get(client, "/X?max_age=-1").json()["errors"] == {"max_age": ["This must be 0 seconds or more."]}
    assert get(client, "/X?max_age=nan").status_code == 400


def test_answers_tell_until_when_the_data_reaches(client: Client, cycle: Cycle, redis: Any, now: float) -> None:
    today = datetime.fromtimestamp(now, UTC).date()
    old = (today - timedelta(10)).isoformat()
    cycle.write([replace(a_state("OURS", now), data_through=old.encode())])
    plain_hset(redis, "TODAY", {"computed_at": now, "bull:1mo": "0.5", "data_through": today.isoformat()})
    plain_hset(redis, "SECONDS", {"computed_at": now, "bull:1mo": "0.5", "data_through": now - 7_200})
    plain_hset(redis, "SILENT", {"computed_at": now, "bull:1mo": "0.5"})
    plain_hset(redis, "BROKEN", {"computed_at": now, "bull:1mo": "0.5", "data_through": "yesterday"})
    Refresher.connect(lambda: now).step()
    expected = {"OURS": old, "TODAY": today.isoformat(), "SECONDS": now - 7_200, "SILENT": None, "BROKEN": None}
    assert {row["symbol"]: row["data_through"] for row in get(client).json()["results"]} == expected
    assert {symbol: get(client, f"/{symbol}").json()["data_through"] for symbol in expected} == expected

    def young(max_data_age: int) -> set[str]:
        listed = get(client, f"?order=score&max_data_age={max_data_age}").json()
        one_by_one = {one for one in expected if get(client, f"/{one}?max_data_age={max_data_age}").status_code == 200}
        assert {row["symbol"] for row in listed["results"]} == one_by_one
        assert listed["count"] == len(one_by_one)
        return one_by_one

    assert young(3_600) == {"TODAY"}
    assert young(8_000) == {"TODAY", "SECONDS"}
    assert young(20 * 86_400) == {"TODAY", "SECONDS", "OURS"}
    refused = get(client, "/OURS?max_data_age=345600")
    assert (problem(refused), refused.json()["data_through"]) == ("stale-regime", old)
    assert "no valid data_through" in get(client, "/SILENT?max_data_age=1").json()["detail"]
    tag = get(client, "?max_data_age=8000").headers["ETag"]
    assert get(client, "?max_data_age=1", **{"If-None-Match": tag}).status_code == 200


def test_an_unchanged_state_is_confirmed_and_a_changed_one_is_not(client: Client, cycle: Cycle, now: float) -> None:
    cycle.write([a_state("X", now)])
    tag = get(client, "/X").headers["ETag"]
    assert tag.startswith('"')
    confirmed = get(client, "/X", **{"If-None-Match": f'"other", {tag}'})
    assert (confirmed.status_code, confirmed.content) == (304, b"")
    assert confirmed.headers["ETag"] == tag
    cycle.write([a_state("X", now, seed=5)])
    assert get(client, "/X", **{"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize(("if_none_match", "status", "why"), _IF_NONE_MATCH["cases"])
def test_only_a_tag_of_the_answer_confirms_it(
    client: Client, cycle: Cycle, now: float, if_none_match: str, status: int, why: str
) -> None:
    cycle.write([a_state("X", now)])
    tag = get(client, "/X").headers["ETag"]
    asked = if_none_match.replace("TAG", tag).replace("BARE", tag.strip('"'))
    response = get(client, "/X", **{"If-None-Match": asked})
    assert response.status_code == status, why
    if status == 304:
        assert response.headers["ETag"] == tag
        assert not response.has_header("Content-Length")


def test_a_copy_in_an_encoding_that_is_not_accepted_now_is_not_confirmed(
    client: Client, cycle: Cycle, now: float
) -> None:
    cycle.write([a_state("X", now)])
    tag = get(client, "/X", **{"Accept-Encoding": "gzip"}).headers["ETag"]
    assert get(client, "/X", **{"If-None-Match": tag, "Accept-Encoding": "gzip"}).status_code == 304
    assert get(client, "/X", **{"If-None-Match": tag}).status_code == 200


def test_one_tag_is_one_set_of_bytes(client: Client, cycle: Cycle, now: float) -> None:
    cycle.write([a_state("X", now)])
    seen: dict[str, bytes] = {}
    for _ in range(30):
        response = get(client, "/X")
        assert seen.setdefault(response.headers["ETag"], response.content) == response.content


def test_a_copy_is_not_confirmed_for_ever(client: Client, cycle: Cycle, now: float, settings: Any) -> None:
    cycle.write([a_state("X", now - 200)])
    tag = get(client, "/X").headers["ETag"]
    content, age, rest = tag.split(".")
    assert get(client, "/X", **{"If-None-Match": f"{content}.{int(age) - 30}.{rest}"}).status_code == 304
    assert get(client, "/X", **{"If-None-Match": f"{content}.{int(age) - 90}.{rest}"}).status_code == 200
    assert get(client, "/X", **{"If-None-Match": f"{content}.{int(age) + 50}.{rest}"}).status_code == 200


# All symbols


def test_an_empty_server_gives_an_honest_empty_answer(client: Client) -> None:
    response = get(client)
    answer = response.json()
    assert response.status_code == 200
    assert (answer["symbols"], answer["count"], answer["next"], answer["results"]) == (0, 0, None, [])
    assert set(answer["timeframes"]) == set(TIMEFRAMES)
    assert answer["timeframes"]["1mo"]["mean_scores"]["bull"] is None


def test_the_collection_has_a_summary_and_a_page(client: Client, cycle: Cycle, now: float) -> None:
    cycle.write([only("A", now, bull_1mo=0.8), only("B", now, bear_1mo=0.6, bull_1mo=0.2), only("C", now, calm_1w=1.0)])
    answer = get(client).json()
    assert list(answer) == ["as_of", "age_seconds", "symbols", "timeframes", "count", "next", "results"]
    assert answer["symbols"] == 3
    assert 0 <= answer["age_seconds"] < 60
    assert answer["timeframes"]["1mo"]["counts"] == {"bull": 1, "bear": 1, "sideways": 0, "volatile": 0, "calm": 0}
    assert answer["timeframes"]["1mo"]["mean_scores"]["bull"] == 0.5
    assert answer["results"] == [
        {"symbol": "A", "computed_at": now, "data_through": None, "timeframe": "1mo", "regime": "bull", "score": 0.8},
        {"symbol": "B", "computed_at": now, "data_through": None, "timeframe": "1mo", "regime": "bear", "score": 0.6},
    ]


def test_filters_and_orders(client: Client, cycle: Cycle, now: float) -> None:
    cycle.write([only(f"S{n}", now, bull_1mo=n / 10, calm_1w=0.5) for n in range(10)])

    def found(query: str) -> list[str]:
        return [row["symbol"] for row in get(client, query).json()["results"]]

    assert found("?timeframe=1w&limit=2") == ["S0", "S1"]
    assert found("?regime=bull&min_score=0.7&order=-score") == ["S9", "S8", "S7"]
    assert found("?order=score&limit=2") == ["S0", "S1"]
    assert found("?symbols=s3,S1,NOBODY") == ["S1", "S3"]
    assert found("?symbols=s3&symbols=&symbols=S1,NOBODY") == ["S1", "S3"]
    assert found("?regime=bear") == []


def test_walking_by_cursor_sees_each_symbol_once_though_new_versions_come(
    client: Client, cycle: Cycle, now: float
) -> None:
    cycle.write([only(f"S{n:03}", now, bull_1mo=(n * 37 % 100) / 100) for n in range(100)])
    walked: list[str] = []
    cursor = ""
    while cursor is not None:
        answer = get(client, f"?order=-score&limit=30&cursor={cursor}").json()
        walked += [row["symbol"] for row in answer["results"]]
        cursor = answer["next"]
        cycle.write([only(symbol, now, bull_1mo=0.0) for symbol in walked[-30:]])
    assert len(walked) == len(set(walked)) == 100


@pytest.mark.parametrize(
    "other", ["?order=score", "?order=-score&timeframe=1w", "?order=-score&regime=bull", "?order=-score&min_score=0.1"]
)
def test_a_cursor_goes_on_with_its_own_question_alone(client: Client, cycle: Cycle, now: float, other: str) -> None:
    cycle.write([only(f"S{n}", now, bull_1mo=n / 10) for n in range(5)])
    cursor = get(client, "?order=-score&limit=2").json()["next"]
    assert len(get(client, f"?order=-score&limit=3&cursor={cursor}").json()["results"]) == 3
    refused = get(client, f"{other}&cursor={cursor}")
    assert refused.status_code == 400
    assert "another query" in refused.json()["errors"]["cursor"][0]


@pytest.mark.parametrize("url", [f"{URL}?min_scroe=0.5", f"{URL}/X?min_scroe=1", "/api/macro/X?min_scroe=1"])
def test_a_parameter_that_does_not_exist_is_named(client: Client, url: str) -> None:
    response = client.get(url)
    assert response.status_code == 400
    assert list(response.json()["errors"]) == ["min_scroe"]


@pytest.mark.parametrize(("query", "refused"), _QUERY_STRINGS)
def test_what_a_query_string_may_say(client: Client, cycle: Cycle, now: float, query: str, refused: list[str]) -> None:
    cycle.write([only("A", now, bull_1mo=0.5)])
    response = client.get(f"{URL}{query}")
    assert response.status_code == (400 if refused else 200)
    assert sorted(response.json().get("errors", {})) == refused


def test_every_bad_field_is_named(client: Client) -> None:
    response = get(client, "?limit=0&timeframe=4mo&regime=x&min_score=2&order=up&cursor=x&symbols=A%20B")
    assert response.status_code == 400
    assert set(response.json()["errors"]) == {"limit", "timeframe", "regime", "min_score", "order", "cursor", "symbols"}
    assert get(client, "?limit=1001").status_code == 400
    assert get(client, f"?symbols={','.join(f'S{n}' for n in range(501))}").status_code == 400
    assert get(client, f"?symbols={','.join(f'S{n}' for n in range(500))}").status_code == 200


def test_while_another_process_builds_callers_are_told_to_come_again(client: Client, redis: Any, settings: Any) -> None:
    settings.REGIME = {"COLLECTION_WAIT_SECONDS": 0.01}
    redis.set("avo:{regime}:build-lease", "another", px=60_000)
    response = get(client)
    assert response.status_code == 503
    assert problem(response) == "collection-not-ready"
    assert int(response.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", "gzip"),
        ("gzip, zstd;q=0.5", "gzip"),
        ("zstd;q=0, gzip", "gzip"),
        ("identity;q=1, gzip;q=0.5", None),
        ("gzip;q=0.", None),
        ("br", None),
        ("", None),
        ("*", "zstd"),
    ],
)
def test_a_large_answer_is_compressed_as_the_client_accepts(
    client: Client, cycle: Cycle, now: float, accepted: str, encoding: str | None
) -> None:
    cycle.write([a_state("X", now)])
    response = get(client, **{"Accept-Encoding": accepted})
    assert response.headers.get("Content-Encoding") == encoding
    assert response.headers["Vary"] == "Accept-Encoding"
    unpack = {
        "gzip": gzip.decompress,
        "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
    }
    body = unpack.get(encoding or "", bytes)(response.content)
    assert orjson.loads(body)["symbols"] == 1


def test_a_large_answer_costs_more(client: Client, cycle: Cycle, now: float) -> None:
    cycle.write([a_state(f"S{number:04}", now) for number in range(1_000)])
    pages = [get(client, query) for query in ("/S0001", "", "?limit=500", "?limit=1000")]
    assert [page.throttle_cost for page in pages] == [1, 1, 1, 2]
    assert get(client, "?limit=1000", **{"Accept-Encoding": "gzip"}).throttle_cost == 2


def test_an_unchanged_collection_is_confirmed(client: Client, cycle: Cycle, now: float) -> None:
    cycle.write([a_state("X", now)])
    tag = get(client).headers["ETag"]
    assert get(client, **{"If-None-Match": tag}).status_code == 304
    assert get(client, "?limit=7", **{"If-None-Match": tag}).status_code == 200


def test_a_state_that_was_there_and_died_is_stale_and_not_unknown(
    client: Client, cycle: Cycle, redis: Any, now: float
) -> None:
    cycle.write([a_state("X", now)])
    get(client)
    redis.delete("argus:regime:X")
    assert problem(get(client, "/X")) == "stale-regime"
    assert problem(get(client, "/Y")) == "unknown-symbol"


def test_a_process_that_never_saw_the_collection_learns_of_the_dead_too(
    client: Client, cycle: Cycle, redis: Any, now: float
) -> None:
    cycle.write([a_state("X", now)])
    redis.delete("argus:regime:X")
    get(client, "/X")
    for thread in threading.enumerate():
        if thread.name == "collection-load":
            thread.join()
    assert problem(get(client, "/X")) == "stale-regime"


def test_every_route_has_an_example_in_the_schema(client: Client, redis: Any) -> None:
    paths = client.get("/api/schema?format=json").json()["paths"]
    ours = {
        path: routes["get"] for path, routes in paths.items() if path.startswith(("/api/intelligence", "/api/macro"))
    }
    assert len(ours) == 4
    for path, route in ours.items():
        assert route["responses"]["200"]["content"]["application/json"]["examples"], path


def test_the_examples_have_every_regime(client: Client, redis: Any) -> None:
    paths = client.get("/api/schema?format=json").json()["paths"]
    [collection, state] = [
        paths[path]["get"]["responses"]["200"]["content"]["application/json"]["examples"]["One"]["value"]
        for path in ("/api/intelligence/regime", "/api/intelligence/regime/{symbol}")
    ]
    assert list(state["scores"][DEFAULT_TIMEFRAME]) == list(REGIMES)
    assert list(collection["timeframes"][DEFAULT_TIMEFRAME]["counts"]) == list(REGIMES)
    assert list(collection["timeframes"][DEFAULT_TIMEFRAME]["mean_scores"]) == list(REGIMES)


def test_a_full_state_has_forty_fields() -> None:
    assert len(FIELDS) == 40
