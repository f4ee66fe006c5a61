"""An inbox, a queue whose time stands still, and a worker whose crew records instead of sending."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from outreach.conf import OutreachConf
from outreach.domain.reservation import SENT, LeaseOwner, Outcome, Outgoing
from outreach.domain.retry import RetryPolicy
from outreach.models import Inbox, Touch
from outreach.services.inbox_cache import InboxCache
from outreach.services.inboxes import change_inbox
from outreach.services.intake import Intake
from outreach.services.ledger import Ledger
from outreach.services.maintenance import Maintenance
from outreach.services.reconcile import Reconciler
from outreach.services.sender_pool import SenderPool
from outreach.services.worker import Stepped, Worker
from outreach.store.depth_history import DepthHistory
from outreach.store.inspection import QueueView
from outreach.store.lanes import Lanes
from tests.doubles import FixedClock


@dataclass
class RecordingSender:
    """Answers as told, touch by touch, and keeps what it was given."""

    sent: list[Outgoing] = field(default_factory=list)
    answers: dict[str, Outcome] = field(default_factory=dict)
    answer: Outcome = SENT

    def send(self, touch: Outgoing) -> Outcome:
        self.sent.append(touch)
        return self.answers.get(touch.recipient, self.answer)

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def lanes(redis_of: Any, clock: FixedClock) -> Lanes:
    """The queue; its server time is the test's clock."""
    made = Lanes(redis_of("outreach"), lambda: round(clock.now * 1000))
    made.mark_intact(0)
    return made


@pytest.fixture
def view(redis_of: Any) -> QueueView:
    return QueueView(redis_of("outreach"))


@pytest.fixture
def inbox(db: None) -> Inbox:
    return change_inbox("anna@example.com", {})


@pytest.fixture
def intake(lanes: Lanes, clock: FixedClock) -> Intake:
    return Intake(lanes, clock)


def touch_data(number: int = 1, **changes: Any) -> dict[str, Any]:
    plain = {"inbox": "anna@example.com", "recipient": f"r{number}@example.com", "subject": "Hi", "body": "Hello"}
    return {**plain, **changes}


@pytest.fixture
def queue_up(intake: Intake, django_capture_on_commit_callbacks: Any) -> Callable[..., list[Touch]]:
    """``queue_up(3, subject="x")`` queues touches to r1, r2 and r3 of the inbox anna@example.com."""

    def enqueue(count: int = 1, **changes: Any) -> list[Touch]:
        ids = []
        for number in range(1, count + 1):
            with django_capture_on_commit_callbacks(execute=True):
                ids.append(intake.accept(touch_data(number, **changes)).touch_id)
        return [Touch.objects.get(pk=one) for one in ids]

    return enqueue


@dataclass
class Desk:
    """A worker with everything it is made of; ``work`` steps until it comes to rest."""

    worker: Worker
    sender: RecordingSender
    pool: SenderPool
    ledger: Ledger
    maintenance: Maintenance
    reconciler: Reconciler
    shift: LeaseOwner

    def work(self, steps: int = 30) -> Stepped:
        for _ in range(steps):
            stepped = self.worker.step()
            if self.pool.in_hand:
                self.worker._results += self.pool.collect(wait_seconds=5.0)
            elif stepped.is_idle and not self.maintenance.has_work:
                return stepped
        raise AssertionError("the worker does not come to rest")


@pytest.fixture
def make_desk(lanes: Lanes, view: QueueView, clock: FixedClock, redis_of: Any) -> Callable[..., Desk]:
    """Makes a worker; ``conf`` overrides settings."""

    def make(name: str = "w1", size: int = 4, lease_seconds: float = 60.0, **conf: Any) -> Desk:
        settings, book, shift = OutreachConf(**conf), InboxCache(), LeaseOwner(name, lease_seconds)
        sender = RecordingSender()
        ledger = Ledger(shift, book, RetryPolicy(), random=lambda: 1.0)
        reconciler = Reconciler(lanes, view, shift.lease_ms)
        maintenance = Maintenance(shift, settings, lanes, ledger, book, reconciler, DepthHistory(redis_of("outreach")))
        pool = SenderPool(size, dict.fromkeys(Inbox.Channel.values, lambda: sender), clock)
        worker = Worker(shift, settings, lanes, ledger, book, pool, maintenance, clock)
        return Desk(worker, sender, pool, ledger, maintenance, reconciler, shift)

    return make


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    return make_desk()
