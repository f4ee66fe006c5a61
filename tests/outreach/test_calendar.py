"""One calendar, the inbox's: windows and warm-ups by its local time, in the forecast and at the worker alike."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest

from outreach.domain.forecast import earliest_send, forecast
from outreach.domain.inbox_rules import History
from outreach.domain.inbox_settings import parse_warm_up, parse_window
from outreach.models import Inbox, Touch
from outreach.services.inboxes import change_inbox
from tests.doubles import FixedClock
from tests.outreach.conftest import WorkerHarness

pytestmark = pytest.mark.django_db
LOS_ANGELES = "America/Los_Angeles"


def settings_of(**settings: Any) -> dict[str, Any]:
    if "window" in settings:
        settings["window_opens"], settings["window_closes"] = parse_window(settings.pop("window"))
    if "warm_up" in settings:
        settings |= parse_warm_up(settings.pop("warm_up"))
    return settings


@pytest.mark.parametrize(
    ("zone", "now", "began"),
    [
        ("Pacific/Auckland", "2026-03-01T21:00Z", date(2026, 3, 2)),  # 10:00 there
        (LOS_ANGELES, "2026-03-02T02:00Z", date(2026, 3, 1)),  # 18:00 there
        ("UTC", "2026-03-01T23:59Z", date(2026, 3, 1)),
    ],
)
def test_a_warm_up_begins_today_where_the_inbox_is(zone: str, now: str, began: date) -> None:
    moment = datetime.fromisoformat(now).timestamp()
    inbox = change_inbox("anna@example.com", settings_of(warm_up="20,10,50", timezone=zone), warm_up_at=moment)
    assert inbox.warm_up_began == began
    hours = [inbox.rules.effective_limits(moment + 3600 * hour).limits[0].count for hour in range(48)]
    local_midnight = next(hour for hour, count in enumerate(hours) if count == 30)
    assert hours[0] == 20
    assert 0 < local_midnight <= 24
    assert hours.index(40) == local_midnight + 24
    change_inbox(inbox.address, {"per_day": 40}, warm_up_at=moment + 10 * 86_400)
    assert Inbox.objects.get().warm_up_began == began
    assert change_inbox(inbox.address, settings_of(warm_up="off"), warm_up_at=moment).warm_up_began is None


def test_a_warm_up_grows_at_the_local_midnight(
    queue_up: Callable[..., list[Touch]], harness: WorkerHarness, clock: FixedClock
) -> None:
    """Not a day after the last send."""
    clock.now = datetime.fromisoformat("2026-03-02T02:00Z").timestamp()
    change_inbox("anna@example.com", settings_of(warm_up="2,3,5", timezone=LOS_ANGELES), warm_up_at=clock.now)
    queue_up(12)
    sent = []
    for _ in range(48):
        harness.work()
        sent.append(len(harness.sender.sent))
        clock.advance(3600)
    assert (sent[0], sent[5], sent[6], sent[24], sent[25]) == (2, 2, 5, 5, 7)  # midnight is 6 hours later
    assert sent[31:] == [10] * 17


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "a window half skipped": ("2026-03-29T00:20Z", {"window": "02:30-03:30", "timezone": "Europe/Madrid"}),
    "a window repeated": ("2026-10-25T00:20Z", {"window": "01:30-02:30", "timezone": "Europe/Madrid"}),
    "a warm-up": ("2026-03-01T21:00Z", {"warm_up": "1,1,5", "timezone": "Pacific/Auckland"}),
    "a warm-up in a window": (
        "2026-10-31T20:00Z",
        {"warm_up": "1,2,9", "window": "01:30-02:30", "timezone": LOS_ANGELES},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_worker_sends_when_the_forecast_says(
    queue_up: Callable[..., list[Touch]], harness: WorkerHarness, clock: FixedClock, case: str
) -> None:
    now, settings = CASES[case]
    clock.now = datetime.fromisoformat(now).timestamp()
    rules = change_inbox("anna@example.com", settings_of(**settings, min_gap_seconds=900), warm_up_at=clock.now).rules
    days = forecast(rules, History(), [0] * 6, round(clock.now * 1000), days=30).per_day
    queue_up(6)
    for number in range(6):
        now_ms = round(clock.now * 1000)
        stamps = [round(sent.started_at * 1000) for sent in harness.sender.sent]
        due_ms = earliest_send(rules, History(stamps), 0, now_ms).until_ms or now_ms
        if due_ms > now_ms + 2000:
            clock.now = due_ms / 1000 - 1
            harness.work()
            assert len(harness.sender.sent) == number
        clock.now = due_ms / 1000 + 2  # by then a worker has noticed that a warm-up allows more
        harness.work()
        assert len(harness.sender.sent) == number + 1
    local = [datetime.fromtimestamp(sent.started_at, rules.zone).date() for sent in harness.sender.sent]
    assert days == {day: local.count(day) for day in days}
