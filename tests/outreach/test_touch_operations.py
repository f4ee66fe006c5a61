"""Operator actions on touches."""

from collections.abc import Callable
from typing import Any

import pytest

from outreach.domain.reservation import Outcome
from outreach.domain.touch import recipient_key
from outreach.models import Attempt, Inbox, Suppression, Touch
from outreach.services.suppression import suppress_recipient
from outreach.services.touch_operations import TouchOperations
from outreach.store.inspection import QueueView
from outreach.store.lanes import Lanes
from tests.doubles import FixedClock
from tests.outreach.conftest import WorkerHarness

pytestmark = pytest.mark.django_db
Queue = Callable[..., list[Touch]]


@pytest.fixture
def operations(lanes: Lanes, clock: FixedClock) -> TouchOperations:
    return TouchOperations(lanes, clock)


@pytest.fixture
def commit(django_capture_on_commit_callbacks: Any) -> Any:
    return lambda: django_capture_on_commit_callbacks(execute=True)


def statuses() -> list[str]:
    return sorted(Touch.objects.values_list("status", flat=True))


def test_a_cancelled_touch_never_leaves(
    inbox: Inbox, queue_up: Queue, operations: TouchOperations, harness: WorkerHarness, commit: Any, view: QueueView
) -> None:
    queue_up(3)
    with commit():
        assert operations.cancel(Touch.objects.filter(recipient="r2@example.com")) == 1
    assert view.depths([inbox.pk]) == {inbox.pk: 2}
    harness.work()
    assert statuses() == ["cancelled", "sent", "sent"]
    assert operations.cancel(Touch.objects.all()) == 0


def test_dead_touches_are_redriven_but_not_to_the_suppressed(
    inbox: Inbox,
    queue_up: Queue,
    operations: TouchOperations,
    make_harness: Callable[..., WorkerHarness],
    commit: Any,
    lanes: Lanes,
) -> None:
    harness = make_harness(refused_contents=100)
    harness.sender.answer = Outcome("give_up", 554, "554 bad content")
    queue_up(3)
    harness.work()
    suppress_recipient("r3@example.com", "asked", lanes)
    with commit():
        assert operations.redrive(Touch.objects.all()) == 2
    harness.sender.answer = Outcome("sent")
    harness.work()
    assert statuses() == ["dead", "sent", "sent"]


def test_a_redrive_can_be_spread(
    inbox: Inbox,
    queue_up: Queue,
    operations: TouchOperations,
    make_harness: Callable[..., WorkerHarness],
    commit: Any,
    clock: FixedClock,
) -> None:
    harness = make_harness(refused_contents=100)
    harness.sender.answer = Outcome("give_up", 554, "554 bad content")
    queue_up(4)
    harness.work()
    harness.sender.answer = Outcome("sent")
    with commit():
        operations.redrive(Touch.objects.all(), per_minute=2)
    sent = []
    for _ in range(4):
        harness.work()
        sent.append(Touch.objects.filter(status="sent").count())
        clock.advance(30)
    assert sent == [1, 2, 3, 4]


def test_unknown_touches_are_resolved_by_a_person(
    inbox: Inbox, queue_up: Queue, operations: TouchOperations, harness: WorkerHarness, commit: Any
) -> None:
    harness.sender.answer = Outcome("unknown", detail="no answer")
    first, second = queue_up(2)
    harness.work()
    harness.sender.answer = Outcome("sent")
    assert operations.resolve_as_sent(Touch.objects.filter(pk=first.pk)) == 1
    with commit():
        assert operations.send_again(Touch.objects.all()) == 1
    harness.work()
    assert statuses() == ["sent", "sent"]
    assert [touch.touch_id for touch in harness.sender.sent].count(str(second.pk)) == 2


def test_a_forgotten_recipient_is_erased_and_gets_nothing_more(
    inbox: Inbox, queue_up: Queue, operations: TouchOperations, harness: WorkerHarness, commit: Any
) -> None:
    harness.sender.answers["r1@example.com"] = Outcome("retry", 450, "450 r1@example.com later")
    queue_up(2)
    harness.work()
    with commit():
        assert operations.forget("R1@example.com") == 1
    everything = [*Touch.objects.values(), *Attempt.objects.values(), *Suppression.objects.values()]
    assert "r1@example.com" not in str(everything).lower()
    queue_up(1)
    assert statuses() == ["sent", "suppressed", "suppressed"]


SPELLINGS = pytest.mark.parametrize("written", ["user@exämple.com", "USER@Exämple.com ", "user@xn--exmple-cua.com"])


@SPELLINGS
def test_a_recipient_of_an_international_domain_is_forgotten_in_every_spelling(
    inbox: Inbox, queue_up: Queue, operations: TouchOperations, commit: Any, written: str
) -> None:
    queue_up(1, recipient="user@exämple.com")
    with commit():
        assert operations.forget(written) == 1
    queue_up(1, recipient="user@exämple.com")
    assert statuses() == ["suppressed", "suppressed"]


@SPELLINGS
def test_a_recipient_is_suppressed_in_every_spelling(
    inbox: Inbox, queue_up: Queue, commit: Any, lanes: Lanes, written: str
) -> None:
    queue_up(1, recipient="User@exämple.com")
    with commit():
        assert suppress_recipient(written, "asked", lanes) == 1
    assert statuses() == ["suppressed"]


def test_who_was_suppressed_under_idna_2003_stays_suppressed(inbox: Inbox, queue_up: Queue) -> None:
    Suppression.objects.create(recipient_key=recipient_key("user@strasse.example"), reason="asked", is_idna_2003=True)
    queue_up(1, recipient="user@straße.example")
    queue_up(1, recipient="user@strasse.example")
    queue_up(1, recipient="other@straße.example")
    assert statuses() == ["queued", "suppressed", "suppressed"]


def test_the_owner_of_a_similar_domain_is_not_suppressed(
    inbox: Inbox, queue_up: Queue, commit: Any, lanes: Lanes
) -> None:
    for one, other in (("straße", "strasse"), ("σίγμασ", "σίγμας")):
        queue_up(1, recipient=f"user@{one}.example")
        queue_up(1, recipient=f"user@{other}.example")
        with commit():
            assert suppress_recipient(f"user@{other}.example", "asked", lanes) == 1
        queue_up(1, recipient=f"user@{one}.example")
    assert statuses() == ["queued"] * 4 + ["suppressed"] * 2


def test_a_failing_inbox_rests_for_all_workers(
    inbox: Inbox, queue_up: Queue, make_harness: Callable[..., WorkerHarness], clock: FixedClock, view: QueueView
) -> None:
    harness = make_harness(size=1, breaker_failures=3, breaker_base_seconds=30.0)
    harness.sender.answer = Outcome("retry", 0, "cannot connect", is_inbox_failure=True)
    queue_up(10)
    harness.work()
    assert len(harness.sender.sent) == 3
    assert view.lanes([inbox.pk])[inbox.pk].history.held_until_ms == round(clock.now * 1000) + 30_000
    other = make_harness("other")
    other.work()
    assert other.sender.sent == []
    clock.advance(31)
    other.work()
    assert len(other.sender.sent) == 7
    clock.advance(270)  # the first three are retried after five minutes
    other.work()
    assert len(other.sender.sent) == 10
