"""The depth of the queue over time: kept for a day, drawn as a picture."""

from collections.abc import Callable
from typing import Any

import pytest

from outreach.domain.depth_chart import depth_chart
from outreach.models import Inbox, Touch
from outreach.store.depth_history import MINUTES, DepthHistory, DepthSample
from tests.doubles import FixedClock
from tests.outreach.conftest import WorkerHarness


def test_samples_of_a_day_are_kept_one_a_minute(redis_of: Any) -> None:
    history = DepthHistory(redis_of("outreach"))
    for minute in (1, 2, 2, MINUTES + 2):
        history.record(DepthSample(minute, minute * 10, {7: minute}))
    assert [sample.minute for sample in history.samples()] == [MINUTES + 2]
    history.record(DepthSample(MINUTES + 3, 5, {}))
    history.record(DepthSample(MINUTES + 3, 6, {}))
    assert [sample.minute for sample in history.samples()] == [MINUTES + 2, MINUTES + 3]
    assert history.samples()[0] == DepthSample(MINUTES + 2, (MINUTES + 2) * 10, {7: MINUTES + 2})


def test_a_chart_has_a_line_a_name_and_escapes_it() -> None:
    chart = depth_chart([1, 2, 4], {"all": [3, 6, 0], "<b>@example.com": [0, 1, 2]})
    assert chart.count("<polyline") == 2
    assert 'points="0.0,102.0 300.0,24.0 900.0,180.0"' in chart
    assert "&lt;b&gt;@example.com (2)" in chart


@pytest.mark.parametrize("minutes", [[], [1]])
def test_a_chart_needs_two_minutes(minutes: list[int]) -> None:
    assert "two minutes" in depth_chart(minutes, {"all": [0] * len(minutes)})


def test_an_empty_queue_is_a_flat_line() -> None:
    assert "180.0" in depth_chart([1, 2], {"all": [0, 0]})


def test_workers_sample_the_depth(
    db: None,
    inbox: Inbox,
    queue_up: Callable[..., list[Touch]],
    harness: WorkerHarness,
    clock: FixedClock,
    redis_of: Any,
    operator_client: Any,
) -> None:
    queue_up(3, not_before=clock.now + 1000)
    harness.work()
    clock.advance(60)
    harness.work()
    samples = DepthHistory(redis_of("outreach")).samples()
    assert [(sample.total, sample.inboxes) for sample in samples] == [(3, {inbox.pk: 3})] * 2
    page = operator_client.get("/admin/outreach/outreachqueue/").content.decode()
    assert "<polyline" in page
    assert "anna@example.com (3)" in page
