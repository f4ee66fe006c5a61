"""One credential counts alike on every route, and a bad one is rejected on every route."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.urls import URLResolver, get_resolver

from tests.throttling.clerk import bearer, token
from throttling.services import api_keys

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_of")]
WITHOUT_LIMITS = ("/api/schema", "/api/docs", "/api/signals/stream")  # the stream needs the ASGI server
BAD = [
    "Bearer", "Bearer ", "Bearer nonsense", "Bearer a.b.c", "Bearer avo_" + "0" * 40, "Bearer ak_2wW7TLnbFDvmmTHC",
    "Token", "Token nonsense", "token avo_" + "0" * 40, "Token " + "0" * 40, "Token \xe9\x00", "Token a b",
    "Token a,Bearer b", "Token a,Token b", "Basic b3BlcmF0b3I6b3BlcmF0b3I=", "Digest username=operator",
    "Negotiate abc", "nonsense", ",", "Bearer:x", "Token\tx",
]  # fmt: skip


def api_routes(patterns: Any, stem: str = "/") -> Iterator[str]:
    """Every route under /api/, with a symbol for each of its parameters."""
    for one in patterns:
        route = stem + str(one.pattern).lstrip("^").rstrip("$")
        if isinstance(one, URLResolver):
            yield from api_routes(one.url_patterns, route)
        elif route.startswith("/api/") and route not in WITHOUT_LIMITS:
            yield re.sub(r"<[^>]*>", "AAPL", route)


ROUTES = sorted(api_routes(get_resolver().url_patterns))


def test_there_are_routes_to_try() -> None:
    assert {"/api/limits", "/api/signals", "/api/macro", "/api/intelligence/regime", "/api/explain"} <= set(ROUTES)


@pytest.fixture
def service(django_user_model: Any) -> Any:
    user = django_user_model.objects.create_user("service", is_staff=True)
    user.user_permissions.set(Permission.objects.all())
    return user


@pytest.mark.parametrize(
    "written", ["AUTHORIZATION: Token ", "AUTHORIZATION: Bearer ", "AUTHORIZATION: token ", "X_API_KEY: "]
)
@pytest.mark.parametrize("route", ROUTES)
def test_a_key_counts_for_its_account_on_every_route(
    client: Any, throttling: Any, service: Any, route: str, written: str
) -> None:
    throttling(RATES="institutional=50/min;anonymous=1/min")
    field, _, scheme = written.partition(": ")
    key = {f"HTTP_{field}": f"{scheme}{api_keys.issue(service, 'test')}"}
    assert client.get(route, **key).headers["RateLimit-Policy"] == '"minute";q=50;w=60'
    limits = client.get("/api/limits", **key).json()
    assert (limits["subject"], limits["tier"]) == (f"user:{service.pk}", "institutional")
    assert limits["policies"][0]["remaining"] == (50 if route == "/api/limits" else 49)


@pytest.mark.parametrize("route", ROUTES)
def test_a_session_of_the_admin_counts_on_every_route(client: Any, throttling: Any, service: Any, route: str) -> None:
    client.force_login(service)
    assert client.get(route).headers["RateLimit-Policy"] == '"minute";q=6000;w=60'


@pytest.mark.parametrize("route", ROUTES)
def test_a_session_token_counts_on_every_route(client: Any, with_clerk: Any, route: str) -> None:
    answer = client.get(route, **bearer(token(plan="u:pro")))
    assert answer.headers["RateLimit-Policy"] == '"minute";q=600;w=60'


@pytest.mark.parametrize("with_issuer", [False, True])
@pytest.mark.parametrize("route", ROUTES)
def test_a_bad_credential_is_401_and_counted_by_address(
    client: Any, throttling: Any, with_clerk: Any, route: str, with_issuer: bool
) -> None:
    (with_clerk if with_issuer else throttling)(RATES="bad_token=2/min")
    for header in ("Token nonsense", "Bearer nonsense"):
        address = {"REMOTE_ADDR": f"192.0.2.{len(header)}", "HTTP_AUTHORIZATION": header}
        answers = [client.get(route, **address) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [401, 401, 429]
        assert answers[0]["WWW-Authenticate"].startswith('Bearer realm="api", error="invalid_token"')
        assert answers[0].json()["type"] == "urn:avo:problem:invalid-token"


@pytest.mark.parametrize("with_issuer", [False, True])
@pytest.mark.parametrize("header", BAD)
def test_no_credential_of_any_scheme_falls_back_to_anonymous(
    client: Any, throttling: Any, with_clerk: Any, header: str, with_issuer: bool
) -> None:
    (with_clerk if with_issuer else throttling)()
    assert client.get("/api/macro", HTTP_AUTHORIZATION=header).status_code == 401


@pytest.mark.parametrize("key", ["nonsense", "avo_" + "0" * 40, "a b", "Token nonsense"])
def test_a_bad_key_in_its_own_field_is_rejected_and_charged(client: Any, throttling: Any, key: str) -> None:
    throttling(RATES="bad_token=1/min")
    assert client.get("/api/limits", HTTP_X_API_KEY=key).status_code == 401
    assert client.get("/api/limits", HTTP_X_API_KEY=key).status_code == 429


def test_authorization_decides_beside_a_key(client: Any, throttling: Any, service: Any) -> None:
    throttling()
    key = api_keys.issue(service, "test")
    assert client.get("/api/limits", HTTP_AUTHORIZATION="Token nonsense", HTTP_X_API_KEY=key).status_code == 401
    good = client.get("/api/limits", HTTP_AUTHORIZATION=f"Token {key}", HTTP_X_API_KEY="nonsense")
    assert good.json()["subject"] == f"user:{service.pk}"


def test_without_a_cookie_no_session_is_read(client: Any, throttling: Any, django_assert_num_queries: Any) -> None:
    throttling(OVERRIDE_REFRESH_SECONDS=None)
    with django_assert_num_queries(0):
        answer = client.get("/api/intelligence/regime/AAPL")
    assert "Cookie" not in answer.headers.get("Vary", "")


def test_a_session_that_is_over_is_anonymous(client: Any, throttling: Any, service: Any) -> None:
    client.force_login(service)
    client.session.flush()
    assert client.get("/api/limits").json()["tier"] == "anonymous"


def test_a_disabled_account_is_rejected(client: Any, throttling: Any, service: Any) -> None:
    key = {"HTTP_AUTHORIZATION": f"Token {api_keys.issue(service, 'test')}"}
    assert client.get("/api/macro", **key).status_code == 200
    service.is_active = False
    service.save()
    assert client.get("/api/macro", **key).status_code == 401


def test_a_known_key_is_served_from_a_barred_address(client: Any, throttling: Any, service: Any) -> None:
    throttling(RATES="bad_token=1/min")
    key = {"HTTP_AUTHORIZATION": f"Token {api_keys.issue(service, 'test')}"}
    assert client.get("/api/macro", **key).status_code == 200
    for _ in range(3):
        client.get("/api/macro", HTTP_AUTHORIZATION="Token nonsense")
    assert client.get("/api/macro", **key).status_code == 200


def test_the_document_names_every_way_in(client: Any) -> None:
    schema = client.get("/api/schema", HTTP_ACCEPT="application/vnd.oai.openapi+json").json()
    schemes = schema["components"]["securitySchemes"]
    assert {name: one["type"] for name, one in schemes.items()} == {
        "clerk": "http", "apiKey": "apiKey", "xApiKey": "apiKey", "adminSession": "apiKey",
    }  # fmt: skip
    for path, operations in schema["paths"].items():
        is_open = not any(part in path for part in ("signals", "outreach", "explain"))
        for operation in operations.values():
            assert operation["security"][:4] == [
                {"clerk": []}, {"apiKey": []}, {"xApiKey": []}, {"adminSession": []},
            ]  # fmt: skip
            assert ({} in operation["security"]) is is_open, path
