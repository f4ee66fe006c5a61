"""What callers of the API meet: limits by who they are, headers on every answer, rejections they can act on."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from prometheus_client import REGISTRY
from rest_framework.authtoken.models import Token

from tests.doubles import DownRedis
from tests.throttling.api import Unchanged
from tests.throttling.clerk import bearer, claims_v1, token
from throttling.domain.policies import CONDITIONAL_MULTIPLE
from throttling.models import PlanChange, TierOverride
from throttling.services import process
from throttling.store.window_limiter import WindowLimiter

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.throttling.api"), pytest.mark.usefixtures("redis_of")]


def left(response: Any) -> int:
    return int(re.fullmatch(r'"minute";r=(\d+);t=\d+', response.headers["RateLimit"])[1])  # type: ignore[index]


def test_the_contracts_example_of_headers(client: Any, throttling: Any) -> None:
    throttling(RATES="anonymous=60/min")
    response = client.get("/t/plain")
    assert response.status_code == 200
    assert response.headers["RateLimit-Policy"] == '"minute";q=60;w=60'
    assert re.fullmatch(r'"minute";r=59;t=\d+', response.headers["RateLimit"])


def test_a_rejection_is_429_with_all_a_client_needs(client: Any, throttling: Any) -> None:
    throttling(RATES="anonymous=2/min,100/day")
    answers = [client.get("/t/plain") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    rejected = answers[-1]
    assert rejected.headers["Content-Type"] == "application/problem+json"
    body = rejected.json()
    assert body["type"] == "urn:avo:problem:rate-limited"
    assert body["status"] == 429
    assert body["violated-policies"] == ["minute"]
    assert 57 <= int(rejected.headers["Retry-After"]) <= 63
    assert rejected.headers["RateLimit-Policy"] == '"minute";q=2;w=60, "day";q=100;w=86400'
    assert rejected.headers["RateLimit"].startswith('"minute";r=0;t=')


def test_each_address_has_its_own_limit(client: Any, throttling: Any) -> None:
    throttling(RATES="anonymous=1/min")
    assert client.get("/t/plain", REMOTE_ADDR="192.0.2.1").status_code == 200
    assert client.get("/t/plain", REMOTE_ADDR="192.0.2.1").status_code == 429
    assert client.get("/t/plain", REMOTE_ADDR="192.0.2.2").status_code == 200


def test_a_forwarded_address_counts_only_behind_a_known_proxy(client: Any, throttling: Any) -> None:
    throttling(RATES="anonymous=1/min")
    assert client.get("/t/plain", HTTP_X_FORWARDED_FOR="203.0.113.1").status_code == 200
    assert client.get("/t/plain", HTTP_X_FORWARDED_FOR="203.0.113.2").status_code == 429
    throttling(RATES="anonymous=1/min", NUM_PROXIES=1)
    chosen = "198.51.100.1, 203.0.113."
    assert client.get("/t/plain", HTTP_X_FORWARDED_FOR=chosen + "3").status_code == 200
    assert client.get("/t/plain", HTTP_X_FORWARDED_FOR="198.51.100.2, 203.0.113.3").status_code == 429
    assert client.get("/t/plain", HTTP_X_FORWARDED_FOR=chosen + "4").status_code == 200


def test_tiers_by_plan(client: Any, with_clerk: Any) -> None:
    for plan, limit in (("u:free_user", 60), ("u:pro", 600), ("u:institutional", 6000), ("u:mystery", 60)):
        response = client.get("/t/plain", **bearer(token(user=f"user_{limit}{plan[2]}", plan=plan)))
        assert response.headers["RateLimit-Policy"] == f'"minute";q={limit};w=60'


def test_an_organisation_shares_its_quota(client: Any, with_clerk: Any) -> None:
    with_clerk(RATES="pro=3/min")
    alice = bearer(token(user="user_alice", plan="o:pro", org="org_desk"))
    bob = bearer(token(user="user_bob", plan="o:pro", org="org_desk"))
    statuses = [client.get("/t/plain", **who).status_code for who in (alice, bob, alice, bob, alice)]
    assert statuses == [200, 200, 200, 429, 429]
    alone = bearer(token(user="user_alice", plan="u:pro"))
    assert client.get("/t/plain", **alone).status_code == 200


def test_one_who_acts_for_a_customer_counts_on_its_own(client: Any, with_clerk: Any) -> None:
    with_clerk(RATES="free=1/min")
    assert client.get("/t/plain", **bearer(token())).status_code == 200
    assert client.get("/t/plain", **bearer(token())).status_code == 429
    support = bearer(token(act={"sub": "user_support"}))
    assert client.get("/t/plain", **support).status_code == 200
    assert client.get("/t/plain", **support).status_code == 429


def test_a_version_1_token_has_the_plan_that_clerk_reported(client: Any, with_clerk: Any) -> None:
    PlanChange.objects.create(
        message_id="m1", subject="org:org_desk", plan="pro", is_active=True, event_type="t", event_at=timezone.now()
    )
    response = client.get("/t/plain", **bearer(token(payload=claims_v1(org="org_desk"))))
    assert response.headers["RateLimit-Policy"] == '"minute";q=600;w=60'
    response = client.get("/t/plain", **bearer(token(payload=claims_v1(user="user_x"))))
    assert response.headers["RateLimit-Policy"] == '"minute";q=60;w=60'


def test_a_service_account_is_institutional(client: Any, throttling: Any, operator: Any) -> None:
    key = Token.objects.create(user=operator).key
    response = client.get("/t/plain", HTTP_AUTHORIZATION=f"Token {key}")
    assert response.headers["RateLimit-Policy"] == '"minute";q=6000;w=60'
    limits = client.get("/api/limits", HTTP_AUTHORIZATION=f"Token {key}").json()
    assert (limits["tier"], limits["subject"]) == ("institutional", f"user:{operator.pk}")


def test_an_expensive_answer_is_charged_as_far_as_there_are_units(client: Any, throttling: Any) -> None:
    throttling(RATES="anonymous=25/min,100/hour:shadow")
    answers = [client.get("/t/expensive-answer") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [left(answer) for answer in answers] == [15, 5, 0, 0]


def test_a_conditional_request_is_charged_for_an_expensive_answer_but_not_for_a_304(
    client: Any, throttling: Any
) -> None:
    throttling(RATES="anonymous=25/min")
    assert left(client.get("/t/expensive-answer", HTTP_IF_NONE_MATCH='"1"')) == 25
    assert left(client.get("/t/expensive-answer", HTTP_IF_NONE_MATCH='"0"')) == 15


@pytest.mark.real_server
def test_an_answer_of_one_unit_takes_one_round_trip(client: Any, throttling: Any, redis_of: Any) -> None:
    client.get("/t/plain")
    redis = redis_of("throttling")
    redis.config_resetstat()
    client.get("/t/plain")
    assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] == 1


def test_a_304_costs_nothing(client: Any, throttling: Any) -> None:
    throttling(RATES="anonymous=2/min")
    for _ in range(5):
        response = client.get("/t/unchanged", HTTP_IF_NONE_MATCH='"1"')
        assert (response.status_code, left(response)) == (304, 2)


@pytest.mark.parametrize("field", ["*", " * "])
def test_a_request_for_any_copy_at_all_is_charged(client: Any, throttling: Any, field: str) -> None:
    throttling(RATES="anonymous=2/min")
    answers = [client.get("/t/unchanged-for-any", HTTP_IF_NONE_MATCH=field) for _ in range(3)]
    assert [(answer.status_code, left(answer)) for answer in answers] == [(304, 1), (304, 0), (429, 0)]


def test_free_304s_have_a_limit_of_their_own_and_then_they_are_charged(client: Any, throttling: Any) -> None:
    throttling(RATES="anonymous=2/min")
    free = [client.get("/t/unchanged", HTTP_IF_NONE_MATCH='"1"') for _ in range(2 * CONDITIONAL_MULTIPLE)]
    assert {(answer.status_code, left(answer)) for answer in free} == {(304, 2)}
    charged = [client.get("/t/unchanged", HTTP_IF_NONE_MATCH='"1"') for _ in range(3)]
    assert [(answer.status_code, left(answer)) for answer in charged] == [(304, 1), (304, 0), (429, 0)]
    assert client.get("/t/unchanged", HTTP_IF_NONE_MATCH='"1"', REMOTE_ADDR="192.0.2.2").status_code == 304


def test_a_date_makes_no_answer_free(client: Any, throttling: Any) -> None:
    throttling(RATES="anonymous=2/min")
    answer = client.get("/t/unchanged", HTTP_IF_MODIFIED_SINCE="Sat, 01 Jan 2050 00:00:00 GMT")
    assert (answer.status_code, left(answer)) == (200, 1)


def test_a_conditional_request_pays_when_its_answer_is_new(client: Any, throttling: Any) -> None:
    throttling(RATES="anonymous=2/min")
    answers = [client.get("/t/unchanged", HTTP_IF_NONE_MATCH='"0"') for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [left(answer) for answer in answers] == [1, 0, 0]
    assert client.get("/t/unchanged", HTTP_IF_NONE_MATCH='"1"').status_code == 429


@pytest.mark.real_server
def test_a_304_takes_one_round_trip(client: Any, throttling: Any, redis_of: Any) -> None:
    throttling(RATES="anonymous=2/min")
    client.get("/t/unchanged", HTTP_IF_NONE_MATCH='"1"')
    redis = redis_of("throttling")
    redis.config_resetstat()
    client.get("/t/unchanged", HTTP_IF_NONE_MATCH='"1"')
    assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] == 1


def test_who_came_first_to_the_last_unit_gets_it(client: Any, throttling: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A conditional request is judged before its view and charged after it; another may come in between."""
    throttling(RATES="anonymous=1/min")
    fetch = Unchanged.get

    def overtaken(view: Unchanged, request: Any) -> Any:
        if "HTTP_IF_NONE_MATCH" in request.META:
            assert client.get("/t/unchanged").status_code == 200
        return fetch(view, request)

    monkeypatch.setattr(Unchanged, "get", overtaken)
    answer = client.get("/t/unchanged", HTTP_IF_NONE_MATCH='"0"')
    assert (answer.status_code, answer.json()["type"]) == (429, "urn:avo:problem:rate-limited")


@pytest.mark.parametrize("path", ["/api/nothing/here", "/nothing/here", "/apis", "/u/no-such-token", "/%00"])
def test_what_is_not_there_is_charged_with_headers(client: Any, throttling: Any, path: str) -> None:
    throttling(RATES="anonymous=2/min")
    answers = [client.get(path) for _ in range(3)]
    assert [(answer.status_code, left(answer)) for answer in answers] == [(404, 1), (404, 0), (429, 0)]


@pytest.mark.parametrize("path", ["/livez", "/metrics", "/api/docs", "/admin/login/", "/static/avo/console.css"])
def test_what_is_there_is_answered_however_many_404s_an_address_got(client: Any, throttling: Any, path: str) -> None:
    throttling(RATES="anonymous=1/min")
    assert [client.get("/nothing").status_code for _ in range(2)] == [404, 429]
    answers = [client.get(path, HTTP_HOST="localhost") for _ in range(3)]
    for answer in answers:
        answer.close()
    assert [answer.status_code for answer in answers] == [200] * 3
    assert not any("RateLimit" in answer.headers for answer in answers)


def test_the_admins_404_is_not_charged(operator_client: Any, throttling: Any) -> None:
    throttling(RATES="anonymous=1/min")
    answers = [operator_client.get("/admin/auth/user/4711/delete/extra/nothing") for _ in range(3)]
    assert {answer.status_code for answer in answers} == {404}


def test_the_root_of_the_api_is_charged_with_headers(client: Any, throttling: Any) -> None:
    answers = [client.get(path) for path in ("/api", "/api/")]
    assert [(answer.status_code, left(answer)) for answer in answers] == [(404, 29), (404, 28)]


@pytest.mark.parametrize(("method", "accept", "status"), [("delete", "*/*", 405), ("get", "image/png", 406)])
def test_limits_rejects_with_its_headers_and_for_nothing(
    client: Any, throttling: Any, method: str, accept: str, status: int
) -> None:
    answers = [getattr(client, method)("/api/limits", HTTP_ACCEPT=accept) for _ in range(2)]
    assert [(answer.status_code, left(answer)) for answer in answers] == [(status, 30)] * 2


def test_what_permissions_reject_is_charged_with_headers(client: Any, throttling: Any) -> None:
    throttling(RATES="anonymous=2/min")
    answers = [client.get("/t/signed-in") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert answers[0].headers["WWW-Authenticate"] == 'Bearer realm="api"'
    assert [left(answer) for answer in answers] == [1, 0, 0]
    assert answers[2].json()["type"] == "urn:avo:problem:rate-limited"
    assert int(answers[2].headers["Retry-After"]) > 0


def test_a_wrong_method_says_where_the_caller_stands(client: Any, throttling: Any) -> None:
    response = client.put("/t/plain")
    assert (response.status_code, left(response)) == (405, 29)


def test_an_unacceptable_request_is_counted(client: Any, throttling: Any) -> None:
    response = client.get("/t/plain", HTTP_ACCEPT="image/png")
    assert response.status_code == 406
    assert left(response) == 29


def test_views_without_throttles_are_not_counted(client: Any, throttling: Any) -> None:
    for path in ("/t/free", "/t/free-as-view", "/livez", "/api/schema"):
        assert "RateLimit" not in client.get(path).headers


def test_limits_shows_the_windows_and_costs_nothing(client: Any, with_clerk: Any) -> None:
    me = bearer(token(plan="u:pro"))
    client.get("/t/plain", **me)
    for _ in range(3):
        response = client.get("/api/limits", **me)
        assert response.headers["RateLimit-Policy"] == '"minute";q=600;w=60'
        body = response.json()
        assert (body["tier"], body["subject"], body["exact"]) == ("pro", "user:user_alice", True)
        [policy] = body["policies"]
        assert policy["remaining"] == 599
        assert 0 < policy["reset_seconds"] <= 63
        assert (policy["name"], policy["limit"], policy["window_seconds"]) == ("minute", 600, 60)


def test_an_override_wins_and_ends(client: Any, with_clerk: Any) -> None:
    row = TierOverride.objects.create(subject="user:user_alice", tier="institutional", reason="trial")
    me = bearer(token())
    assert client.get("/t/plain", **me).headers["RateLimit-Policy"] == '"minute";q=6000;w=60'
    row.tier, row.rates = "", "7/hour"
    row.save()
    assert client.get("/t/plain", **me).headers["RateLimit-Policy"] == '"hour";q=7;w=3600'
    body = client.get("/api/limits", **me).json()
    assert (body["tier"], body["why"]) == ("free", "override: trial")
    row.expires_at = timezone.now() - timedelta(seconds=1)
    row.save()
    assert client.get("/t/plain", **me).headers["RateLimit-Policy"] == '"minute";q=60;w=60'


@pytest.mark.parametrize(
    ("subject", "callers"),
    [
        ("address:2001:db8:1:2::1", ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9"]),
        ("::ffff:9.9.9.9", ["9.9.9.9", "::ffff:9.9.9.9"]),
    ],
)
def test_an_override_of_an_address_applies_however_it_is_written(
    client: Any, throttling: Any, subject: str, callers: list[str]
) -> None:
    TierOverride.objects.create(subject=subject, rates="7/hour", reason="trial")
    for caller in callers:
        answer = client.get("/t/plain", REMOTE_ADDR=caller)
        assert answer.headers["RateLimit-Policy"] == '"hour";q=7;w=3600'


def test_an_override_that_cannot_be_used_is_left_out(client: Any, with_clerk: Any, caplog: Any) -> None:
    TierOverride.objects.create(subject="user_alice", tier="pro", reason="a bare Clerk id will do")
    TierOverride.objects.create(subject="user:user_bob", tier="platinum", reason="no such tier")
    assert client.get("/t/plain", **bearer(token())).headers["RateLimit-Policy"] == '"minute";q=600;w=60'
    bob = client.get("/t/plain", **bearer(token(user="user_bob")))
    assert bob.headers["RateLimit-Policy"] == '"minute";q=60;w=60'
    assert "ignoring invalid override" in caplog.text


def test_a_shadow_policy_is_counted_and_has_no_fields(client: Any, throttling: Any) -> None:
    throttling(RATES="anonymous=1/min:shadow,100/hour")
    labels = {"tier": "anonymous", "policy": "minute"}
    before = REGISTRY.get_sample_value("avo_throttle_shadow_refusals_total", labels) or 0
    answers = [client.get("/t/plain") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert answers[0].headers["RateLimit-Policy"] == '"hour";q=100;w=3600'
    assert REGISTRY.get_sample_value("avo_throttle_shadow_refusals_total", labels) == before + 2


@pytest.fixture
def down(redis_of: Any, throttling: Any, monkeypatch: pytest.MonkeyPatch) -> DownRedis:
    """The limiter's Redis, which can be taken down."""
    client = redis_of("throttling")
    redis = DownRedis(client)
    limiter = WindowLimiter(redis)
    monkeypatch.setattr(WindowLimiter, "connect", lambda: limiter)
    process.forget()
    return redis


def degraded() -> float:
    return REGISTRY.get_sample_value("avo_throttle_degraded_total") or 0.0


def test_without_redis_reads_go_on_under_a_local_limit(client: Any, throttling: Any, down: DownRedis) -> None:
    throttling(RATES="anonymous=3/min")
    client.get("/t/plain")
    before, down.is_down = degraded(), True
    answers = [client.get("/t/plain") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert not any("RateLimit" in answer.headers or "RateLimit-Policy" in answer.headers for answer in answers)
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert degraded() >= before + 4


def test_without_redis_writes_wait(client: Any, throttling: Any, down: DownRedis) -> None:
    down.is_down = True
    response = client.post("/t/plain", {}, content_type="application/json")
    assert response.status_code == 503
    assert response.json()["type"] == "urn:avo:problem:limits-unavailable"
    assert response.headers["Retry-After"] == "5"
    assert client.get("/api/limits").json()["exact"] is False


def test_a_bug_is_charged_too(client: Any, throttling: Any) -> None:
    client.raise_request_exception = False
    response = client.get("/t/broken")
    assert response.status_code == 500
    assert left(response) == 29
