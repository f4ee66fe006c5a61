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
def test_a_bad_token_is_told_so_and_limited_by_address(client: Any, with_clerk: Any, method: str, url: str) -> None:
    with_clerk(RATES="bad_token=2/min")
    answers = [getattr(client, method)(url, **bearer("bad")) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert answers[0]["WWW-Authenticate"].startswith('Bearer realm="api", error="invalid_token"')
    assert answers[0].json()["type"] == "urn:avo:problem:invalid-token"


@pytest.mark.parametrize(("method", "url"), ROUTES[1:])
def test_a_good_token_gives_no_permission(client: Any, with_clerk: Any, method: str, url: str) -> None:
    assert getattr(client, method)(url, **bearer(token())).status_code == 403
