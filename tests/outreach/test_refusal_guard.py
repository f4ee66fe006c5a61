"""Several recipients in a row that are refused for good: the inbox pauses, and nobody stays suppressed for it."""

from collections.abc import Callable
from typing import Any

import pytest

from outreach.domain.refusals import RefusalLimits
from outreach.domain.reservation import Outcome
from outreach.models import Inbox, Suppression, Touch
from outreach.services.inboxes import change_inbox, set_paused
from outreach.services.suppression import suppress_recipient
from outreach.store.lanes import Lanes
from tests.doubles import FixedClock
from tests.outreach.conftest import WorkerHarness

Queue = Callable[..., list[Touch]]
GONE = Outcome("suppress", 550, "550 5.1.1 user unknown", reply_class="recipient-gone")
SPAM = Outcome("give_up", 554, "554 5.7.1 spam", reply_class="content")


@pytest.mark.parametrize(
    ("kinds", "is_reached"),
    [
        ("gggg", False), ("ggggg", True), ("c", False), ("cc", True), ("cg", False), ("gcc", False), ("ccg", True),
        ("gcgcg", True), ("", False),
    ],
)  # fmt: skip
def test_a_limit_counts_different_recipients_newest_first(kinds: str, is_reached: bool) -> None:
    kind = {"g": "suppress", "c": "give_up"}
    run = [(kind[one], f"r{number}") for number, one in enumerate(kinds)]
    assert RefusalLimits(recipients=5, contents=2).is_reached(run) is is_reached
    assert not RefusalLimits(recipients=5, contents=2).is_reached([(one, "r") for one, _ in run])


@pytest.fixture
def single(make_harness: Callable[..., WorkerHarness]) -> WorkerHarness:
    return make_harness(size=1)


@pytest.mark.django_db
@pytest.mark.parametrize(("size", "most_tried"), [(1, 5), (8, 12)])
def test_recipients_in_a_row_pause_the_inbox_and_are_not_suppressed(
    inbox: Inbox, queue_up: Queue, make_harness: Callable[..., WorkerHarness], caplog: Any, size: int, most_tried: int
) -> None:
    harness = make_harness(size=size)
    harness.sender.answer = GONE
    queue_up(30)
    harness.work(steps=100)
    inbox.refresh_from_db()
    assert inbox.paused
    assert "recipients in a row were refused for good, the last with: 550 5.1.1" in inbox.pause_reason
    assert 5 <= len(harness.sender.sent) <= most_tried
    assert Suppression.objects.count() == 0
    assert "suppressions are undone" in caplog.text


@pytest.mark.django_db
def test_a_send_in_between_starts_the_run_over(inbox: Inbox, queue_up: Queue, single: WorkerHarness) -> None:
    for number in range(1, 31):
        if number % 4:
            single.sender.answers[f"r{number}@example.com"] = GONE
    queue_up(30)
    single.work(steps=200)
    inbox.refresh_from_db()
    assert not inbox.paused
    assert Suppression.objects.count() == 23


@pytest.mark.django_db
def test_after_a_resume_the_run_starts_over(
    inbox: Inbox, queue_up: Queue, single: WorkerHarness, clock: FixedClock
) -> None:
    single.sender.answer = GONE
    queue_up(12)
    for tried in (5, 10, 12):
        single.work(steps=100)
        assert len(single.sender.sent) == tried
        set_paused(Inbox.objects.all(), paused=False)
        clock.advance(5)
    assert Suppression.objects.count() == 2


@pytest.mark.django_db
def test_the_second_recipient_in_a_row_whose_mail_is_refused_pauses_the_inbox(
    inbox: Inbox, queue_up: Queue, single: WorkerHarness, clock: FixedClock
) -> None:
    """The first touch alone neither stops the inbox nor comes again after a resume."""
    single.sender.answers |= dict.fromkeys(("r1@example.com", "r3@example.com", "r4@example.com"), SPAM)
    queue_up(10)
    single.work(steps=100)
    inbox.refresh_from_db()
    assert (inbox.paused, len(single.sender.sent)) == (True, 4)
    set_paused(Inbox.objects.all(), paused=False)
    clock.advance(5)
    single.work(steps=100)
    assert Touch.objects.filter(status="sent").count() == 7
    assert Touch.objects.filter(status="dead").count() == 3


@pytest.mark.django_db
def test_what_a_suppression_stopped_meanwhile_is_queued_again(
    inbox: Inbox, queue_up: Queue, make_harness: Callable[..., WorkerHarness], clock: FixedClock, lanes: Lanes
) -> None:
    """Touches of other inboxes to the same recipients; who unsubscribed stays suppressed."""
    harness = make_harness(size=1, sweep_seconds=0.0)
    change_inbox("bert@example.com", {})
    harness.sender.answer = GONE
    queue_up(4)
    harness.work(steps=100)
    suppress_recipient("r9@example.com", "asked", lanes)
    queue_up(4, inbox="bert@example.com")
    queue_up(1, inbox="bert@example.com", recipient="r9@example.com")
    assert Touch.objects.filter(status="suppressed").count() == 5
    queue_up(1, recipient="r5@example.com")
    harness.work(steps=100)
    assert [one.recipient for one in Suppression.objects.all()] == ["r9@example.com"]
    harness.sender.answer = Outcome("sent")
    clock.advance(120)
    harness.work(steps=100)
    assert Touch.objects.filter(status="sent", inbox__address="bert@example.com").count() == 4
    assert Touch.objects.filter(status="suppressed").count() == 1
