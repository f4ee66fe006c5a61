"""Fixtures: an inbox, a queue on a fixed clock, and a worker whose senders record instead of sending."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from outreach.conf import OutreachConf
from outreach.domain.channels import CHANNELS
from outreach.domain.reservation import SENT, LeaseOwner, Outcome, Outgoing
from outreach.models import Inbox, Touch
from outreach.services.inbox_cache import InboxCache
from outreach.services.inboxes import change_inbox
from outreach.services.intake import Intake
from outreach.services.ledger import Ledger
from outreach.services.maintenance import Maintenance
from outreach.services.reconcile import Reconciler
from outreach.services.refusal_guard import RefusalGuard
from outreach.services.sender_pool import SenderPool
from outreach.services.worker import StepResult, Worker
from outreach.store.inspection import QueueView
from outreach.store.lanes import Lanes
from tests.doubles import FixedClock


@dataclass
class RecordingSender:
    """Records each touch and returns the outcome configured for its recipient."""

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
    made.mark_initialised(0)
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
class WorkerHarness:
    """A worker and its parts; ``work`` steps until it is idle."""

    worker: Worker
    sender: RecordingSender
    pool: SenderPool
    ledger: Ledger
    maintenance: Maintenance
    reconciler: Reconciler
    lease_owner: LeaseOwner

    def work(self, steps: int = 30) -> StepResult:
        for _ in range(steps):
            step_result = self.worker.step()
            if self.pool.in_flight:
                self.worker._results += self.pool.poll(wait_seconds=5.0)
            elif step_result.is_idle and not self.maintenance.has_work:
                return step_result
        raise AssertionError("the worker does not become idle")


@pytest.fixture
def make_harness(lanes: Lanes, view: QueueView, clock: FixedClock, redis_of: Any) -> Callable[..., WorkerHarness]:
    """Makes a worker; ``conf`` overrides settings."""

    def make(name: str = "w1", size: int = 4, lease_seconds: float = 60.0, **conf: Any) -> WorkerHarness:
        settings, inbox_cache, lease_owner = OutreachConf(**conf), InboxCache(), LeaseOwner(name, lease_seconds)
        sender = RecordingSender()
        ledger = Ledger(
            lease_owner, inbox_cache, settings.retry_policy, RefusalGuard(settings.refusal_limits), lambda: 0.0
        )
        reconciler = Reconciler(lanes, view, lease_owner.lease_ms)
        maintenance = Maintenance(lease_owner, settings, lanes, ledger, inbox_cache, reconciler)
        pool = SenderPool(size, dict.fromkeys(CHANNELS, lambda: sender), clock)
        worker = Worker(lease_owner, settings, lanes, ledger, inbox_cache, pool, maintenance, clock)
        return WorkerHarness(worker, sender, pool, ledger, maintenance, reconciler, lease_owner)

    return make


@pytest.fixture
def harness(make_harness: Callable[..., WorkerHarness]) -> WorkerHarness:
    return make_harness()
