"""Bearer tokens at the API's door."""

import json
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from tests.throttling.clerk import KEY, OTHER_KEY, bearer, claims, jwks_server, token
from tests.throttling.test_clerk_token import forged, hs256_with_the_public_key
from throttling.services import process

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.throttling.api"), pytest.mark.usefixtures("redis_of")]


def test_a_good_token_names_its_caller(client: Any, with_clerk: Any) -> None:
    body = client.get("/t/signed-in", **bearer(token())).json()
    assert body == {"user": "user:user_alice", "authenticated": True}


def test_an_empty_field_is_none(client: Any, throttling: Any) -> None:
    for header in ("", " "):
        assert client.get("/t/plain", HTTP_AUTHORIZATION=header).json()["authenticated"] is False


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([10**30, "u:pro,o:x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "sub", "x"]), inner, max_size=3),
    max_leaves=5,
)
NAMES = ("iss", "azp", "sub", "sid", "pla", "fea", "o", "org_id", "act", "sts", "exp", "nbf", "iat", "v", "jti")


@given(st.dictionaries(st.sampled_from(NAMES), ODD, min_size=1, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_claim_of_a_signed_token_is_an_error_of_ours(client: Any, with_clerk: Any, odd: dict[str, Any]) -> None:
    with_clerk(CLERK_AUTHORIZED_PARTIES=["https://app.avo.test"], RATES="bad_token=1000000/min")
    process.forget()
    headers = {"cat": "cl_B7d4PD111AAA", "kid": KEY.kid, "typ": "JWT"}
    signed = jwt.PyJWS().encode(json.dumps(claims() | odd).encode(), KEY.private, "RS256", headers)
    assert client.get("/api/limits", **bearer(signed)).status_code in (200, 401)


@pytest.mark.parametrize("before", ["bearer ", "BEARER ", "Bearer   ", " Bearer "])
def test_the_scheme_has_any_letter_case_and_one_or_more_spaces(client: Any, with_clerk: Any, before: str) -> None:
    assert client.get("/t/plain", HTTP_AUTHORIZATION=before + token()).json()["authenticated"] is True


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "bearer\t{}",
        "Bearer\t {}",
        "Bearer \t{}",
        "Bearer\xa0{}",
        "Bearer\x0b{}",
        "Bearer:{}",
        "Bearer={}",
        "Bearer{}",
        "Bearer, {}",
        "Bearer {0} {0}",
        "Bearer {},",
        'Bearer "{}"',
        "Bearer {0},Bearer {0}",
        "Token abc,Bearer {}",
        "Basic abc, bearer {}",
        ",Bearer {}",
        "\tBearer\t{}",
    ],
)
def test_a_bearer_written_in_another_way_is_401_and_never_anonymous(client: Any, with_clerk: Any, header: str) -> None:
    assert client.get("/t/plain", HTTP_AUTHORIZATION=header.format(token())).status_code == 401


def bad_tokens() -> dict[str, str]:
    party = {"azp": "https://evil.test"}
    return {
        "expired": token(exp=claims()["exp"] - 120),
        "not-yet-valid": token(nbf=claims()["exp"]),
        "issuer": token(iss="https://clerk.other.test"),
        "authorized-party": token(**party),
        "algorithm": forged({"alg": "none", "kid": KEY.kid}),
        "hs256": hs256_with_the_public_key(),
        "unknown-key": token(OTHER_KEY),
        "signature": token(OTHER_KEY, kid=KEY.kid),
        "too-long": "x" * 100_000,
        "pending": token(sts="pending"),
        "malformed": "nonsense",
        "empty": "",
        "party-list": token(azp=["https://app.avo.test"]),
    }


@pytest.mark.parametrize("name", bad_tokens())
def test_a_bad_token_is_401_and_never_anonymous(client: Any, throttling: Any, name: str) -> None:
    with jwks_server() as clerk:
        throttling(
            CLERK_ISSUER="https://clerk.avo.test",
            CLERK_JWKS_URL=clerk.url,
            CLERK_AUTHORIZED_PARTIES=["https://app.avo.test"],
        )
        assert client.get("/t/plain", **bearer(token())).status_code == 200
        response = client.get("/t/plain", **bearer(bad_tokens()[name]))
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith(
        'Bearer realm="api", error="invalid_token", error_description="'
    )
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["type"] == "urn:avo:problem:invalid-token"
    assert response.headers["RateLimit-Policy"] == '"minute";q=30;w=60'


def test_bad_tokens_are_limited_by_address(client: Any, with_clerk: Any) -> None:
    with_clerk(RATES="bad_token=3/min")
    bad = bearer(token(OTHER_KEY, kid=KEY.kid))
    assert [client.get("/t/plain", **bad).status_code for _ in range(5)] == [401, 401, 401, 429, 429]
    assert client.get("/t/plain", REMOTE_ADDR="192.0.2.9", **bad).status_code == 401
    assert client.get("/t/plain").status_code == 200


def test_a_barred_address_costs_no_cryptography(client: Any, with_clerk: Any) -> None:
    with_clerk(RATES="bad_token=2/min")
    checked = lambda: REGISTRY.get_sample_value("avo_throttle_bad_tokens_total", {"reason": "signature"}) or 0  # noqa: E731
    before = checked()
    for _ in range(10):
        client.get("/t/plain", **bearer(token(OTHER_KEY, kid=KEY.kid)))
    assert checked() - before == 3


def test_a_known_token_is_served_from_a_barred_address(client: Any, with_clerk: Any) -> None:
    with_clerk(RATES="bad_token=1/min")
    good = bearer(token())
    assert client.get("/t/plain", **good).status_code == 200
    for _ in range(3):
        client.get("/t/plain", **bearer("nonsense"))
    assert client.get("/t/plain", **good).status_code == 200


def test_keys_unreachable_and_none_known_is_503(client: Any, throttling: Any) -> None:
    with jwks_server() as clerk:
        clerk.is_down = True
        throttling(CLERK_ISSUER="https://clerk.avo.test", CLERK_JWKS_URL=clerk.url)
        response = client.get("/t/plain", **bearer(token()))
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    assert response.json()["type"] == "urn:avo:problem:keys-unavailable"
    assert "RateLimit" not in response.headers


def test_a_flood_of_bad_tokens_fetches_keys_once(client: Any, throttling: Any) -> None:
    with jwks_server() as clerk:
        throttling(CLERK_ISSUER="https://clerk.avo.test", CLERK_JWKS_URL=clerk.url, RATES="bad_token=100000/min")
        good = bearer(token())
        assert client.get("/t/plain", **good).status_code == 200
        clerk.fetches = 0
        for number in range(300):
            bad = token(OTHER_KEY, kid=f"ins_{number}") if number % 2 else token(OTHER_KEY, kid=KEY.kid)
            assert client.get("/t/plain", **bearer(bad)).status_code == 401
        assert clerk.fetches <= 1
        assert client.get("/t/plain", **good).status_code == 200


def test_nothing_of_a_token_is_logged(client: Any, with_clerk: Any, caplog: Any) -> None:
    value = token(act={"sub": "user_support"})
    client.get("/t/plain", **bearer(value))
    bad = token(OTHER_KEY, kid=KEY.kid)
    client.get("/t/plain", **bearer(bad))
    assert "user_support acts for user_alice" in caplog.text
    assert not any(part in caplog.text for one in (value, bad) for part in one.split("."))


def test_the_schema_names_the_scheme(client: Any) -> None:
    schema = client.get("/api/schema", HTTP_ACCEPT="application/vnd.oai.openapi+json").json()
    assert schema["components"]["securitySchemes"]["clerk"]["scheme"] == "bearer"
    assert {"clerk": []} in schema["paths"]["/api/limits"]["get"]["security"]
