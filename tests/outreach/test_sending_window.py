from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outreach.domain.sending_window import SendingWindow

MADRID = ZoneInfo("Europe/Madrid")
OFFICE = SendingWindow(time(8), time(18), MADRID)


def at(text: str, zone: ZoneInfo = MADRID) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-06-01T07:59:59", "2026-06-01T08:00"),
        ("2026-06-01T08:00:00", "2026-06-01T08:00"),
        ("2026-06-01T17:59:59", "2026-06-01T17:59:59"),
        ("2026-06-01T18:00:00", "2026-06-02T08:00"),
        ("2026-03-28T20:00:00", "2026-03-29T08:00"),  # the clock jumps ahead that night: 11 hours later
        ("2026-10-24T20:00:00", "2026-10-25T08:00"),  # the clock is set back: 13 hours later
    ],
)
def test_it_opens_by_the_clock_on_the_wall(now: str, opens: str) -> None:
    assert OFFICE.next_open(at(now)) == at(opens)


def test_the_night_of_the_jump_is_an_hour_shorter() -> None:
    assert OFFICE.next_open(at("2026-03-28T18:00")) - at("2026-03-28T18:00") == 13 * 3600
    assert OFFICE.next_open(at("2026-10-24T18:00")) - at("2026-10-24T18:00") == 15 * 3600


def test_a_window_inside_the_missing_hour_opens_the_day_after() -> None:
    night = SendingWindow(time(2, 15), time(2, 45), MADRID)
    assert night.next_open(at("2026-03-29T00:00")) == at("2026-03-30T02:15")


def test_a_window_inside_the_doubled_hour_opens_twice() -> None:
    night = SendingWindow(time(2, 15), time(2, 45), MADRID)
    first, second = night.open_span(at("2026-10-25T00:00")), night.open_span(at("2026-10-25T02:50"))
    assert second[0] - first[0] == 3600
    assert [end - start for start, end in (first, second)] == [1800, 1800]


def test_it_may_run_past_midnight() -> None:
    night = SendingWindow(time(22), time(6), ZoneInfo("UTC"))
    assert night.is_open(at("2026-06-01T23:00", ZoneInfo("UTC")))
    assert night.is_open(at("2026-06-01T05:59", ZoneInfo("UTC")))
    assert not night.is_open(at("2026-06-01T06:00", ZoneInfo("UTC")))
    start, end = night.open_span(at("2026-06-01T12:00", ZoneInfo("UTC")))
    assert (start, end) == (at("2026-06-01T22:00", ZoneInfo("UTC")), at("2026-06-02T06:00", ZoneInfo("UTC")))


ZONES = st.sampled_from(
    ["UTC", "Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"]
)
TIMES = st.times().map(lambda moment: moment.replace(second=0, microsecond=0))


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)), TIMES, TIMES, ZONES)
def test_inside_the_span_it_is_open_and_just_before_it_is_not(
    now: datetime, opens: time, closes: time, zone: str
) -> None:
    if opens == closes:
        return
    window = SendingWindow(opens, closes, ZoneInfo(zone))
    moment = now.replace(tzinfo=UTC).timestamp()
    start, end = window.open_span(moment)
    assert moment <= start < end
    assert window.is_open(start)
    assert start == moment or not window.is_open(moment)
