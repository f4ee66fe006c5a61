"""Every token that must be rejected is, and says why; every claim that is read is read right."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.throttling.clerk import ISSUER, KEY, OTHER_KEY, claims, claims_v1, token
from throttling.domain import clerk_token
from throttling.domain.clerk_token import BadSignatureError, BadTokenError, identity_of, read_header, verified_claims
from throttling.domain.policies import Plan, parse_plans, quota_plan, tier_of

PARTIES = frozenset({"https://app.avo.test"})


def b64(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def forged(header: dict[str, Any], signature: bytes = b"") -> str:
    return f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims()).encode())}.{b64(signature)}"


def hs256_with_the_public_key() -> str:
    text = forged({"alg": "HS256", "kid": KEY.kid, "typ": "JWT"}).rstrip(".")
    return f"{text}.{b64(hmac.new(KEY.pem.encode(), text.encode(), hashlib.sha256).digest())}"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (forged({"alg": "none", "kid": "k"}), "algorithm"),
        (hs256_with_the_public_key(), "algorithm"),
        (forged({"alg": "ES256", "kid": "k"}), "algorithm"),
        (forged({"kid": "k"}), "algorithm"),
        (forged({"alg": ["RS256"]}), "algorithm"),
        ("x" * 100_000, "too-long"),
        ("", "malformed"),
        ("a.b.c", "malformed"),
        ("é.é.é", "malformed"),
        (b64(b"[" * 5_000) + ".e30.AAAA", "malformed"),
        (token() + ",", "malformed"),
        (token() + " ", "malformed"),
        (token().replace(".", "\t.", 1), "malformed"),
        (b64(b'"RS256"') + ".e30.AAAA", "malformed"),
    ],
)
def test_rejected_before_any_key_is_fetched(bad: str, reason: str) -> None:
    with pytest.raises(BadTokenError) as caught:
        read_header(bad)
    assert caught.value.reason == reason


def test_the_key_must_have_signed_it() -> None:
    good = token()
    assert read_header(good)["kid"] == KEY.kid
    assert verified_claims(good, KEY.public)["sub"] == "user_alice"
    for bad in (token(OTHER_KEY, kid=KEY.kid), good[:-6] + "AAAAAA"):
        with pytest.raises(BadSignatureError):
            verified_claims(bad, KEY.public)


@given(st.text(max_size=200))
def test_no_text_does_more_than_be_rejected(text: str) -> None:
    with pytest.raises(BadTokenError):
        verified_claims(text, KEY.public) if read_header(text) else None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": 990}, "expired"),
        ({"nbf": 1011}, "not-yet-valid"),
        ({"iss": "https://clerk.other.test"}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"azp": "https://evil.test"}, "authorized-party"),
        ({"azp": ["https://app.avo.test"]}, "authorized-party"),
        ({"azp": {"https://app.avo.test": 1}}, "authorized-party"),
        ({"azp": 7}, "authorized-party"),
        ({"act": ["user_support"]}, "malformed"),
        ({"azp": None}, "authorized-party"),
        ({"sts": "pending"}, "pending"),
        ({"exp": None}, "malformed"),
        ({"exp": "soon"}, "malformed"),
        ({"exp": True}, "malformed"),
        ({"exp": float("nan")}, "malformed"),
        ({"exp": 10**400}, "malformed"),
        ({"nbf": "then"}, "malformed"),
        ({"sub": None}, "malformed"),
        ({"sub": "a}b"}, "malformed"),
        ({"sub": ["user_a"]}, "malformed"),
        ({"o": {"id": "x y"}}, "malformed"),
        ({"act": {"sub": "a}b"}}, "malformed"),
    ],
)
def test_claims_that_are_rejected(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadTokenError) as caught:
        identity_of({}, claims(**{"exp": 1060, "iat": 1000, "nbf": 990, **changes}), ISSUER, PARTIES, 1000.0)
    assert caught.value.reason == reason


def test_ten_seconds_of_leeway() -> None:
    identity_of({}, claims(exp=991, iat=1010, nbf=1010), ISSUER, PARTIES, 1000.0)


def test_any_party_will_do_unless_some_are_named() -> None:
    assert (
        identity_of({}, claims(azp=None, exp=1060, iat=1000, nbf=990), ISSUER, frozenset(), 1000.0).user_id
        == "user_alice"
    )


def test_version_2() -> None:
    found = identity_of(
        {}, claims(plan="o:pro", org="org_desk", act={"sub": "user_support"}), ISSUER, (), claims()["iat"]
    )
    assert (found.organization_id, found.impersonator, found.session_id) == (
        "org_desk",
        "user_support",
        "sess_user_alice",
    )
    assert found.plans == (Plan("o", "pro"),)


def test_version_1() -> None:
    found = identity_of({}, claims_v1(org="org_desk"), ISSUER, (), claims()["iat"])
    assert (found.organization_id, found.plans) == ("org_desk", None)


def test_the_organisations_plan_counts_while_it_is_active() -> None:
    both = parse_plans("u:free_user, o:pro")
    assert quota_plan(both, "org_desk") == Plan("o", "pro")
    assert quota_plan(both, None) == Plan("u", "free_user")
    assert quota_plan(parse_plans("o:pro"), None) is None
    assert parse_plans("pro,x:pro,u:,u:\ud800,u:a b") == []
    assert tier_of("mystery", {"pro": "pro"}) == "free"


def test_the_longest_token_that_is_read() -> None:
    assert len(token(fea="o:" + "x" * 3_000)) < clerk_token.MAX_TOKEN_CHARACTERS
