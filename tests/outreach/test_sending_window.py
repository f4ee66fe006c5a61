from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outreach.domain.sending_window import SendingWindow

MADRID, NEW_YORK, APIA = ZoneInfo("Europe/Madrid"), ZoneInfo("America/New_York"), ZoneInfo("Pacific/Apia")
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


@pytest.mark.parametrize(
    ("window", "zone", "now", "spans"),
    [
        ("02:30-03:30", MADRID, "2026-03-29T00:00Z", [("01:00", "01:30"), ("00:30+1", "01:30+1")]),  # 02:00 to 03:00
        ("01:30-02:30", MADRID, "2026-03-29T00:00Z", [("00:30", "01:00"), ("23:30", "00:30+1")]),
        ("01:30-02:30", MADRID, "2026-10-24T20:00Z", [("23:30", "00:30+1"), ("01:00+1", "01:30+1")]),  # 03:00 to 02:00
        ("02:30-03:30", MADRID, "2026-10-24T20:00Z", [("00:30+1", "01:00+1"), ("01:30+1", "02:30+1")]),
        ("01:30-02:30", NEW_YORK, "2026-11-01T00:00Z", [("05:30", "06:00"), ("06:30", "07:30")]),  # 02:00 to 01:00
        ("22:00-02:30", MADRID, "2026-03-28T12:00Z", [("21:00", "01:00+1"), ("20:00+1", "00:30+2")]),
        (
            "23:00-12:00",
            APIA,
            "2011-12-30T00:00Z",
            [("09:00", "22:00"), ("09:00+1", "22:00+1")],
        ),  # a whole day is skipped
    ],
)
def test_a_change_of_the_clock_opens_and_closes_it(
    window: str, zone: ZoneInfo, now: str, spans: list[tuple[str, str]]
) -> None:
    """Times in UTC, on the day of ``now`` or so many days later."""
    opens, closes = (time.fromisoformat(part) for part in window.split("-"))
    moment, found = datetime.fromisoformat(now), []
    at_moment = moment.timestamp()
    for _ in spans:
        start, at_moment = SendingWindow(opens, closes, zone).open_span(at_moment)
        found.append(tuple(_utc_time(at, moment) for at in (start, at_moment)))
    assert found == spans


def _utc_time(at: float, since: datetime) -> str:
    days = (datetime.fromtimestamp(at, UTC).date() - since.date()).days
    return f"{datetime.fromtimestamp(at, UTC):%H:%M}" + (f"+{days}" if days else "")


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


CHANGES = st.sampled_from(
    [
        ("Europe/Madrid", "2026-03-29T01:00Z"), ("Europe/Madrid", "2026-10-25T01:00Z"),
        ("America/New_York", "2026-03-08T07:00Z"), ("America/New_York", "2026-11-01T06:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T15:00Z"), ("Australia/Lord_Howe", "2026-10-03T15:30Z"),
        ("Africa/Cairo", "2026-04-23T22:00Z"), ("Pacific/Apia", "2011-12-30T10:00Z"),
        ("America/Caracas", "2016-05-01T07:00Z"), ("Asia/Kathmandu", "2026-05-01T00:00Z"),
    ]
)  # fmt: skip


@given(CHANGES, st.integers(-36 * 60, 12 * 60), TIMES, TIMES)
def test_it_opens_and_closes_as_a_clock_that_is_read_every_minute(
    change: tuple[str, str], minutes: int, opens: time, closes: time
) -> None:
    if opens == closes:
        return
    window = SendingWindow(opens, closes, ZoneInfo(change[0]))
    now = datetime.fromisoformat(change[1]).timestamp() + 60 * minutes
    later = [now + 60 * minute for minute in range(4 * 24 * 60)]
    start = next(moment for moment in later if window.is_open(moment))
    end = next(moment for moment in later if moment > start and not window.is_open(moment))
    assert window.open_span(now) == (start, end)
