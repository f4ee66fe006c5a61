"""Browsers of other origins: CORS_ALLOWED_ORIGINS."""

from typing import Any

import pytest

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.throttling.api"), pytest.mark.usefixtures("redis_of")]

ORIGIN = "https://app.avo.test"
PREFLIGHT = {"HTTP_ACCESS_CONTROL_REQUEST_METHOD": "GET", "HTTP_ACCESS_CONTROL_REQUEST_HEADERS": "authorization"}


def cors_fields(response: Any) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.lower().startswith("access-control-")}


@pytest.fixture
def with_cors(settings: Any, throttling: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]
    settings.CORS_URLS_REGEX = "^/api/"
    throttling(RATES="anonymous=1/min")


def test_by_default_no_other_origin_may_read_an_answer(client: Any, throttling: Any) -> None:
    assert cors_fields(client.get("/api/limits", HTTP_ORIGIN=ORIGIN)) == {}
    assert cors_fields(client.options("/api/limits", HTTP_ORIGIN=ORIGIN, **PREFLIGHT)) == {}
    assert "origin" not in client.get("/api/limits", HTTP_ORIGIN=ORIGIN).headers.get("Vary", "").lower()


def test_a_listed_origin_reads_answers_and_their_limits(client: Any, with_cors: None) -> None:
    for status in (404, 429):
        answer = client.get("/api/nothing", HTTP_ORIGIN=ORIGIN)
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (status, ORIGIN)
        assert {"RateLimit", "Retry-After"} <= set(answer.headers["Access-Control-Expose-Headers"].split(", "))
        assert "origin" in answer.headers["Vary"]


@pytest.mark.parametrize("other", ["https://app.avo.test.evil.test", "http://app.avo.test", "null", "https://avo.test"])
def test_another_origin_reads_nothing(client: Any, with_cors: None, other: str) -> None:
    for answer in (client.get("/api/limits", HTTP_ORIGIN=other), client.options("/api/limits", HTTP_ORIGIN=other)):
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_preflight_costs_nothing(client: Any, with_cors: None) -> None:
    for _ in range(5):
        answer = client.options("/api/signals/stream", HTTP_ORIGIN=ORIGIN, **PREFLIGHT)
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, ORIGIN)
        assert {"authorization", "last-event-id"} <= set(answer.headers["Access-Control-Allow-Headers"].split(", "))
    assert client.get("/api/limits").json()["policies"][0]["remaining"] == 1


def test_no_cookie_is_taken_from_another_origin(client: Any, with_cors: None) -> None:
    assert "Access-Control-Allow-Credentials" not in client.get("/api/limits", HTTP_ORIGIN=ORIGIN).headers


def test_the_admin_is_closed_to_other_origins(client: Any, with_cors: None) -> None:
    assert cors_fields(client.get("/admin/login/", HTTP_ORIGIN=ORIGIN)) == {}
