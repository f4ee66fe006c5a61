from datetime import date, time
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from outreach.domain.forecast import forecast
from outreach.domain.inbox_rules import DAY_MS, History, InboxRules
from outreach.domain.sending_window import SendingWindow

NOW_MS = 1_790_000_000_000  # Monday 2026-09-21, 14:13:20 UTC


def test_without_limits_everything_goes_out_today() -> None:
    found = forecast(InboxRules(), History(), [0] * 50, NOW_MS, days=7)
    assert (found.per_day, found.left, found.binding) == ({date(2026, 9, 21): 50}, 0, "")


def test_a_daily_limit_spreads_them_over_days() -> None:
    found = forecast(InboxRules(per_day=20), History(), [0] * 50, NOW_MS, days=7)
    assert list(found.per_day.values()) == [20, 20, 10]
    assert (found.left, found.binding) == (0, "per_day")


def test_the_last_day_counts_what_is_left() -> None:
    found = forecast(InboxRules(per_day=20), History(), [0] * 50, NOW_MS, days=1)
    assert (sum(found.per_day.values()), found.left) == (20, 30)


def test_a_closed_window_waits_for_the_morning_of_its_zone() -> None:
    window = SendingWindow(time(8), time(9), ZoneInfo("America/New_York"))
    rules = InboxRules(min_gap_seconds=600, window=window, zone=ZoneInfo("America/New_York"))
    found = forecast(rules, History(), [0] * 10, NOW_MS, days=7)
    assert found.per_day == {date(2026, 9, 22): 6, date(2026, 9, 23): 4}
    assert found.binding == "window"


def test_a_paused_inbox_sends_nothing() -> None:
    found = forecast(InboxRules(paused=True), History(), [0], NOW_MS, days=2)
    assert (found.per_day, found.left, found.binding) == ({}, 1, "paused")


@given(st.integers(1, 5), st.integers(1, 30), st.floats(0, 100), st.lists(st.integers(0, 3 * DAY_MS), max_size=60))
def test_no_limit_is_broken_and_no_touch_is_lost(per_minute: int, per_day: int, gap: float, delays: list[int]) -> None:
    rules = InboxRules(per_minute, per_day, gap or None)
    found = forecast(rules, History(), [NOW_MS + delay for delay in delays], NOW_MS, days=3)
    assert sum(found.per_day.values()) + found.left == len(delays)
    assert all(count <= 2 * per_day for count in found.per_day.values())  # a date touches two rolling days
