from datetime import date, time
from zoneinfo import ZoneInfo

import pytest

from outreach.domain.inbox_rules import DAY_MS, NEVER_MS, Decision, History, InboxRules, WarmUp, decide, next_allowed
from outreach.domain.sending_window import SendingWindow

NOW_MS = 1_790_000_000_000  # 2026-09-21T14:13:20Z
NOW = NOW_MS / 1000


def decision(rules: InboxRules, *stamps_ago_ms: int, in_flight: int = 0, held_until_ms: int = 0) -> Decision:
    history = History(sorted(NOW_MS - ago for ago in stamps_ago_ms), in_flight, held_until_ms)
    return decide(rules.effective_limits(NOW), history, NOW_MS)


def test_without_limits_it_may_always_send() -> None:
    assert decision(InboxRules(), 0, 0, in_flight=1000) == Decision(None, None)


def test_a_full_minute_holds_until_its_oldest_send_has_left_the_window() -> None:
    rules = InboxRules(per_minute=2)
    assert decision(rules, 10_000) == Decision(None, None)
    assert decision(rules, 10_000, 50_000) == Decision("per_minute", NOW_MS + 10_001)
    assert decision(rules, 10_000, 60_001) == Decision(None, None)
    assert decision(rules, 10_000, 60_000).reason == "per_minute"


def test_a_full_day_and_a_gap_hold_too_and_the_longest_counts() -> None:
    rules = InboxRules(per_minute=2, per_day=3, min_gap_seconds=5.0)
    assert decision(rules, 1000) == Decision("min_gap", NOW_MS + 4001)
    assert decision(rules, 1000, 2000) == Decision("per_minute", NOW_MS + 58_001)
    assert decision(rules, 1000, 2000, 3000) == Decision("per_day", NOW_MS + DAY_MS - 3000 + 1)


def test_what_is_in_flight_counts_as_sent() -> None:
    rules = InboxRules(per_minute=2)
    assert decision(rules, in_flight=1) == Decision(None, None)
    assert decision(rules, 30_000, in_flight=1) == Decision("per_minute", NOW_MS + 30_001)
    assert decision(rules, in_flight=2) == Decision("in_flight", None)


def test_a_pause_has_no_end() -> None:
    assert decision(InboxRules(paused=True)) == Decision("paused", None)


def test_a_failing_inbox_rests() -> None:
    assert decision(InboxRules(), held_until_ms=NOW_MS + 7) == Decision("server", NOW_MS + 7)
    quota = InboxRules(hold_reason="quota")
    assert decision(quota, held_until_ms=NOW_MS + 7) == Decision("quota", NOW_MS + 7)


def test_a_limit_that_lifts_at_night_waits_for_the_morning() -> None:
    window = SendingWindow(time(8), time(14, 13, 30), ZoneInfo("UTC"))  # closes 10 s from now
    rules = InboxRules(per_minute=1, window=window)
    assert decide(rules.effective_limits(NOW), History([NOW_MS - 55_000]), NOW_MS) == Decision(
        "per_minute", NOW_MS + 5001
    )
    assert next_allowed(rules, History([NOW_MS - 55_000]), NOW_MS) == Decision("per_minute", NOW_MS + 5001)
    morning_ms = 1_790_064_000_000
    assert next_allowed(rules, History([NOW_MS]), NOW_MS) == Decision("window", morning_ms)


def test_terms_name_the_open_span() -> None:
    window = SendingWindow(time(8), time(18), ZoneInfo("UTC"))
    effective_limits = InboxRules(window=window).effective_limits(NOW)
    assert (effective_limits.open_from_ms, effective_limits.open_until_ms) == (NOW_MS, 1_790_013_600_000)
    assert InboxRules().effective_limits(NOW).open_until_ms == NEVER_MS


@pytest.mark.parametrize(
    ("today", "limit"), [(date(2026, 9, 1), 20), (date(2026, 9, 2), 30), (date(2026, 9, 5), 50), (date(2026, 8, 1), 20)]
)
def test_a_young_inbox_warms_up(today: date, limit: int) -> None:
    assert WarmUp(date(2026, 9, 1), start=20, step=10, target=50).per_day(today) == limit


def test_warming_up_never_lifts_the_daily_limit() -> None:
    ramp = WarmUp(date(2026, 9, 1), start=20, step=10, target=50)
    [limit] = InboxRules(per_day=40, warm_up=ramp).effective_limits(NOW).limits
    assert (limit.reason, limit.count) == ("per_day", 40)
    [limit] = InboxRules(warm_up=ramp).effective_limits(NOW).limits
    assert limit.count == 50
