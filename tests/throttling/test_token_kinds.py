"""Every kind of token that a Clerk instance signs, from a table: what it is taken for, and what it opens."""

import json
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from avo_project.runtime.conf import ConfError
from tests.throttling.clerk import bearer, claims, signed
from throttling.conf import ThrottlingConf
from throttling.domain.scopes import ScopesError, parse_scopes
from throttling.services import process

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_of")]
TABLE = json.loads((Path(__file__).parent / "data" / "token_kinds.json").read_text())
OAUTH = {"typ": "at+jwt"}


def rejected(reason: str) -> float:
    return REGISTRY.get_sample_value("avo_throttle_bad_tokens_total", {"reason": reason}) or 0.0


def from_now(name: str, value: Any) -> Any:
    """A time of the table stands as seconds from now."""
    is_offset = name in ("exp", "iat", "nbf") and isinstance(value, str) and value[0] in "+-"
    return claims()["iat"] + int(value) if is_offset else value


@pytest.mark.parametrize("case", TABLE, ids=[case["name"] for case in TABLE])
def test_the_kind_is_decided_first(client: Any, with_clerk: Any, case: dict[str, Any]) -> None:
    if "accepted" in case:
        with_clerk(CLERK_ACCEPTED_TOKENS=case["accepted"])
    payload = claims(**{name: from_now(name, value) for name, value in case["claims"].items()})
    before = rejected(case.get("reason", ""))
    answer = client.get("/api/signals", **bearer(signed(payload, **case["header"])))
    assert answer.status_code == case["status"], answer.content
    assert rejected(case.get("reason", "")) - before == (1 if "reason" in case else 0)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("ak_2wW7TLnbFDvmmTHCNCqLdqcQWgT", "API keys of Clerk"),
        ("oat_2wW7TLnbFDvmmTHCNCqLdqcQWgT", "OAuth access tokens"),
        ("mt_2wW7TLnbFDvmmTHCNCqLdqcQWgT", "Machine tokens"),
        (signed(claims(), **OAUTH), "OAuth access tokens"),
        (signed(claims(sub="mch_1")), "Machine tokens"),
    ],
)
@pytest.mark.parametrize("accepted", [["session_token"], ["session_token", "api_key"]])
def test_a_rejection_names_the_kind(client: Any, with_clerk: Any, value: str, named: str, accepted: list[str]) -> None:
    """Opaque kinds too, and also where they are listed: only Clerk can read them, and it is not asked yet."""
    with_clerk(CLERK_ACCEPTED_TOKENS=accepted)
    answer = client.get("/api/signals", **bearer(value))
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:avo:problem:invalid-token")
    assert answer.json()["detail"] == f"{named} are not accepted here."


def test_a_machine_counts_on_its_own_and_is_free(client: Any, with_clerk: Any) -> None:
    with_clerk(CLERK_ACCEPTED_TOKENS=["m2m_token"])
    limits = client.get("/api/limits", **bearer(signed(claims(sub="mch_1", sid=None, pla="u:institutional")))).json()
    assert (limits["subject"], limits["tier"], limits["why"]) == ("machine:mch_1", "free", "machine token")


def test_an_oauth_token_counts_as_its_user_and_claims_no_plan(client: Any, with_clerk: Any) -> None:
    with_clerk(CLERK_ACCEPTED_TOKENS=["oauth_token"])
    limits = client.get("/api/limits", **bearer(signed(claims(plan="u:institutional"), **OAUTH))).json()
    assert (limits["subject"], limits["tier"]) == ("user:user_alice", "free")


def test_a_missing_scope_is_named_and_charged_to_its_caller(client: Any, with_clerk: Any) -> None:
    with_clerk(CLERK_ACCEPTED_TOKENS=["oauth_token"], RATES="free=2/min")
    mine = bearer(signed(claims(scope="regime:read"), **OAUTH))
    answers = [client.get("/api/signals", **mine) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [403, 403, 429]
    assert answers[0].json()["type"] == "urn:avo:problem:insufficient-scope"
    assert 'error="insufficient_scope", scope="signals:read"' in answers[0]["WWW-Authenticate"]


def test_safe_methods_need_the_scope_of_get() -> None:
    table = parse_scopes({"a": ("GET /api/a",), "b": ("POST /api/a", "GET /api/b/")})
    assert table.needed("HEAD", "/api/a/x") == table.needed("OPTIONS", "/api/a") == {"a"}
    assert table.needed("POST", "/api/a") == table.needed("GET", "/api/b") == {"b"}
    assert table.needed("GET", "/api/abc") == table.needed("DELETE", "/api/a") == set()
    with pytest.raises(ScopesError, match="Write it like GET /api/signals"):
        parse_scopes({"a": ("/api/a",)})


def test_the_token_says_when_it_ends(with_clerk: Any) -> None:
    """Whoever serves a caller for long ends with the token: request.auth is its identity."""
    verifier = process.verifier()
    assert verifier is not None
    payload = claims()
    assert verifier.check(signed(payload)).identity.expires_at == payload["exp"]


@pytest.mark.parametrize("names", [["session"], ["session_token", ""], ["API_KEY"]])
def test_an_unknown_kind_stops_the_start_with_one_line(throttling: Any, names: list[str]) -> None:
    throttling(CLERK_ACCEPTED_TOKENS=names)
    with pytest.raises(ConfError, match=r"CLERK_ACCEPTED_TOKENS: .* Write a comma-separated list of session_token"):
        ThrottlingConf.load()
