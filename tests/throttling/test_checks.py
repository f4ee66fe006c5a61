"""The system checks of what callers may sign in with."""

from typing import Any

import pytest
from django.core.checks import run_checks

from throttling.checks import accepted_tokens_can_be_verified

ISSUER = "https://clerk.example"


@pytest.mark.parametrize(
    ("issuer", "accepted", "named"),
    [
        (ISSUER, ["session_token"], []),
        (ISSUER, ["session_token", "oauth_token", "m2m_token"], []),
        (ISSUER, ["session_token", "api_key"], ["api_key"]),
        ("", ["session_token"], []),
        ("", ["session_token", "oauth_token", "api_key"], ["oauth_token", "api_key"]),
        ("", [], []),
    ],
)
def test_a_kind_that_nothing_can_verify_is_named(
    settings: Any, issuer: str, accepted: list[str], named: list[str]
) -> None:
    settings.THROTTLING = {**settings.THROTTLING, "CLERK_ISSUER": issuer, "CLERK_ACCEPTED_TOKENS": accepted}
    found = accepted_tokens_can_be_verified(None)
    assert [message.id for message in found] == ["avo.W014"] * len(named)
    for message, kind in zip(found, named, strict=True):
        assert message.msg.startswith(f"CLERK_ACCEPTED_TOKENS lists {kind},")
        assert message.hint
        assert message.hint.endswith(".")


def test_it_is_asked_without_deploy_too(settings: Any) -> None:
    settings.THROTTLING = {**settings.THROTTLING, "CLERK_ISSUER": ISSUER, "CLERK_ACCEPTED_TOKENS": ["api_key"]}
    assert "avo.W014" in [message.id for message in run_checks()]
