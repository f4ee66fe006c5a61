"""Bearer tokens at the routes that ask for a caller, whichever app they are of."""

from typing import Any

import pytest

from tests.throttling.clerk import bearer, token

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_of")]
TOUCHES = "/api/outreach/touches"
ROUTES = [
    ("get", "/api/signals"),
    ("post", TOUCHES),
    ("get", f"{TOUCHES}/01a205d6-b677-7029-8876-1291c628e85a"),
    ("get", "/api/explain?of=AAPL"),
]


@pytest.mark.parametrize(("method", "url"), ROUTES)
def test_a_bad_token_gets_422_and_limited_by_address(client: Any, with_clerk: Any, method: str, url: str) -> None:
    with_clerk(RATES="bad_token=2/min")
    answers = [getattr(client, method)(url, **bearer("bad")) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert answers[0]["WWW-Authenticate"].startswith('Bearer realm="api", error="invalid_token"')
    assert answers[0].json()["type"] == "urn:avo:problem:invalid-token"


OPEN_ROUTES = ["/api/intelligence/regime/EURUSD=X", "/api/intelligence/regime", "/api/macro", "/api/macro/DGS10"]


@pytest.mark.parametrize("url", [*OPEN_ROUTES, "/api/limits", "/api/signals/stream", *(url for _, url in ROUTES)])
def test_a_bad_token_gets_422_whatever_media_type_is_asked_for(client: Any, with_clerk: Any, url: str) -> None:
    with_clerk(RATES="bad_token=2/min")
    answers = [client.get(url, HTTP_ACCEPT="text/csv", **bearer("bad")) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert {answer["Content-Type"] for answer in answers} == {"application/problem+json"}


@pytest.mark.parametrize("url", OPEN_ROUTES)
def test_an_unacceptable_request_is_on_the_account_of_its_credential(client: Any, with_clerk: Any, url: str) -> None:
    with_clerk(RATES="free=2/min;anonymous=1/min")
    answers = [client.get(url, HTTP_ACCEPT="text/csv", **bearer(token())) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [406, 406, 429]
    assert {answer["RateLimit-Policy"] for answer in answers} == {'"minute";q=2;w=60'}
    assert client.get(url, HTTP_ACCEPT="text/csv").status_code == 406, "nothing was on the account of the address"


@pytest.mark.parametrize(("method", "url"), ROUTES)
def test_a_missing_credential_comes_before_a_media_type(client: Any, throttling: Any, method: str, url: str) -> None:
    assert getattr(client, method)(url, HTTP_ACCEPT="text/csv").status_code == 401


@pytest.mark.parametrize(("method", "url"), ROUTES[1:])
def test_a_good_token_gives_no_permission(client: Any, with_clerk: Any, method: str, url: str) -> None:
    assert getattr(client, method)(url, **bearer(token())).status_code == 403
