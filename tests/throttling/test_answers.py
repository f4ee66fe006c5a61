"""The two fields, read back by the grammar of structured fields (RFC 8941, as draft 11 uses it)."""

import re

from hypothesis import given
from hypothesis import strategies as st

from throttling.domain.policies import Hit, Outcome, WindowStats, parse_policies
from throttling.services.answers import Streams, fields, rejection
from throttling.services.callers import Quota
from throttling.services.rate_limiter import Decision

ITEM = r'"[\x20-\x21\x23-\x5b\x5d-\x7e]+"(;[a-z]+=\d{1,15})+'
rates = st.lists(
    st.sampled_from(("60/s", "60/min:shadow", "600/15min", "5000/day")), min_size=1, max_size=4, unique=True
)


@given(rates=rates, used=st.integers(0, 7000), frees_ms=st.integers(0, 90_000_000))
def test_the_fields_are_lists_of_strings_with_integers(rates: list[str], used: int, frees_ms: int) -> None:
    policies = parse_policies(",".join(rates))
    outcome = Outcome(Hit("user:a", policies), 0, tuple(WindowStats(used, frees_ms) for _ in policies))
    headers = fields(outcome)
    shown = [policy for policy in policies if not policy.shadow]
    if not shown:
        assert headers == {}
        return
    assert list(headers) == ["RateLimit-Policy", "RateLimit"]
    for value in headers.values():
        assert re.fullmatch(f"{ITEM}(, {ITEM})*", value), value
        assert value.count('"') == 2 * len(shown)
    assert f'"{shown[0].name}";q={shown[0].limit};w={shown[0].window_seconds}' in headers["RateLimit-Policy"]


def test_the_contracts_example() -> None:
    outcome = Outcome(Hit("user:a", parse_policies("60/min")), 0, (WindowStats(23, 11_001),))
    assert fields(outcome) == {"RateLimit-Policy": '"minute";q=60;w=60', "RateLimit": '"minute";r=37;t=12'}


def test_the_concurrency_policy_of_a_live_stream() -> None:
    outcome = Outcome(Hit("user:a", parse_policies("60/min")), 0, (WindowStats(23, 11_001),))
    headers = fields(outcome, Streams(2, 1))
    assert headers["RateLimit-Policy"] == '"minute";q=60;w=60, "streams";q=2;qu="concurrent-requests"'
    assert headers["RateLimit"].endswith(', "streams";r=1')
    assert fields(outcome, Streams(2, 5))["RateLimit"].endswith(', "streams";r=0'), "a limit that was lowered"


def test_an_unused_window_shows_its_whole_length() -> None:
    outcome = Outcome(Hit("user:a", parse_policies("60/min"), 0), 0, (WindowStats(0, 62_000),))
    assert fields(outcome)["RateLimit"] == '"minute";r=60;t=60'


def test_a_local_decision_has_no_fields() -> None:
    assert fields(Outcome(Hit("user:a", parse_policies("60/min")), 0, (WindowStats(1, 1),), exact=False)) == {}


def test_a_rejection_rounds_its_wait_up() -> None:
    policies = parse_policies("60/min,5000/day")
    outcome = Outcome(Hit("user:a", policies), 4_001, (WindowStats(60, 4_001), WindowStats(70, 9_000)))
    problem = rejection(Decision(Quota("user:a", "free", policies, ""), outcome))
    assert problem.headers == {"Retry-After": "5"}
    assert problem.members["violated-policies"] == ["minute"]
