import pytest
from hypothesis import given
from hypothesis import strategies as st

from throttling.domain.policies import Policy, RatesError, parse_plan_tiers, parse_policies, parse_rates, parse_streams


def test_unset_rates_are_those_of_the_contract() -> None:
    rates = parse_rates("")
    assert rates["anonymous"] == (Policy("minute", 30, 60),)
    assert rates["free"] == (Policy("minute", 60, 60),)
    assert rates["pro"] == (Policy("minute", 600, 60),)
    assert rates["institutional"] == (Policy("minute", 6000, 60),)


def test_several_windows_shortest_first() -> None:
    assert parse_policies(" 5000/day , 60/min") == (Policy("minute", 60, 60), Policy("day", 5000, 86400))


def test_a_window_may_be_a_number_of_units_and_may_only_count() -> None:
    assert parse_policies("100/2s") == (Policy("2-seconds", 100, 2),)
    assert parse_policies("9/15min:shadow") == (Policy("15-minutes", 9, 900, shadow=True),)


def test_a_tier_left_out_keeps_its_default() -> None:
    rates = parse_rates("free=1/s")
    assert rates["free"] == (Policy("second", 1, 1),)
    assert rates["pro"] == (Policy("minute", 600, 60),)


def test_tiers_of_plans_are_tiers() -> None:
    assert parse_rates("gold=7/h", ["gold", "pro"])["gold"] == (Policy("hour", 7, 3600),)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("fre=60/min", ["'fre'", "did you mean 'free'"]),
        ("free=60/mni", ["'mni'", "'60/mni'", "did you mean"]),
        ("free=sixty/min", ["'sixty/min'"]),
        ("free=60", ["'60'"]),
        ("free", ["'free'"]),
        ("free=60/min;free=61/min", ["'free'", "twice"]),
        ("free=60/min,70/1min", ["60/min,70/1min", "one window"]),
        ("free=0/min", ["'0/min'", "nothing"]),
        ("free=5/0s", ["'5/0s'", "nothing"]),
        ("free=60/min:shadw", ["'60/min:shadw'"]),
    ],
)
def test_a_typo_is_named(text: str, names: list[str]) -> None:
    with pytest.raises(RatesError) as caught:
        parse_rates(text)
    assert all(name in str(caught.value) for name in names), str(caught.value)


def test_streams_by_tier() -> None:
    tiers = parse_rates("gold=7/h", ["gold"])
    defaults = {"anonymous": 0, "bad_token": 0, "failed_login": 0, "free": 2, "pro": 10, "institutional": 50}
    assert parse_streams("", tiers) == defaults | {"gold": 2}
    assert parse_streams(" pro = 3 ;gold=40;", tiers) == defaults | {"pro": 3, "gold": 40}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("fre=2", ["'fre'", "did you mean 'free'"]),
        ("free", ["'free'", "tier=number"]),
        ("free=-1", ["'free=-1'"]),
        ("free=\u0665", ["tier=number"]),
        ("free=2=3", ["'free=2=3'"]),
        ("free=2/min", ["'free=2/min'"]),
    ],
)
def test_a_typo_in_the_streams_is_named(text: str, names: list[str]) -> None:
    with pytest.raises(RatesError) as caught:
        parse_streams(text, parse_rates(""))
    assert all(name in str(caught.value) for name in names), str(caught.value)


def test_a_plan_tier_without_a_rate_is_named() -> None:
    with pytest.raises(RatesError, match="'gold'"):
        parse_rates("free=60/min", ["gold"])


def test_plan_tiers() -> None:
    assert parse_plan_tiers("free_user=free, pro=pro,") == {"free_user": "free", "pro": "pro"}
    with pytest.raises(RatesError, match="'pro'"):
        parse_plan_tiers("free_user=free,pro")


@given(st.text(max_size=40))
def test_any_text_is_read_or_rejected_in_words(text: str) -> None:
    try:
        rates = parse_rates(text)
    except RatesError as error:
        assert str(error)  # noqa: PT017
    else:
        assert all(policy.limit > 0 for policies in rates.values() for policy in policies)
