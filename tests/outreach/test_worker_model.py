"""Workers, ledger and queue together, checked against a pure model of a touch's states.

The model receives the same operator actions and server answers as the system. It decides whether a touch may be handed
to a server at all (state, moment, suppression, pause, limit), and says what state each must be in after every step. At
the end all obstacles are taken away: then every touch must come to an end.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest
from django.test import TestCase
from django_redis import get_redis_connection
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from outreach.conf import OutreachConf
from outreach.domain.refusals import RefusalLimits
from outreach.domain.reservation import LeaseOwner, Outcome, Outgoing, SendResult
from outreach.domain.retry import RetryPolicy
from outreach.domain.touch import KeyReusedError
from outreach.models import Attempt, Inbox, Suppression, Touch
from outreach.services.inbox_cache import InboxCache
from outreach.services.inboxes import change_inbox, set_paused
from outreach.services.intake import Intake
from outreach.services.ledger import Ledger
from outreach.services.maintenance import Maintenance
from outreach.services.reconcile import Reconciler
from outreach.services.refusal_guard import RefusalGuard
from outreach.services.suppression import suppress, suppress_recipient, touch_of_token, unsubscribe_token
from outreach.services.touch_operations import TouchOperations
from outreach.services.worker import Worker
from outreach.store.inspection import QueueView
from outreach.store.lanes import Lanes
from tests.doubles import FixedClock

FREE, LIMITED, A_MINUTE = "free@example.com", "limited@example.com", 2
INBOXES = (FREE, LIMITED)
RECIPIENTS = ("r1@example.com", "r2@example.com", "r3@example.com")
LEASE_SECONDS = 60.0
RETRIES = 2
RESERVABLE, FINAL = {"queued", "waiting", "retrying"}, {"sent", "dead", "suppressed", "cancelled"}
OUTCOMES = [
    Outcome("sent"),
    Outcome("sent"),
    Outcome("retry", 450, "450 later"),
    Outcome("retry", 421, "421 later", retry_after_seconds=100.0),
    Outcome("suppress", 550, "550 5.1.1 no such user"),
    Outcome("pause", 550, "550 5.7.1 blocked"),
    Outcome("hold", 550, "550 5.4.5 quota", retry_after_seconds=60.0, hold="quota"),
    Outcome("give_up", 554, "554 bad content"),
    Outcome("unknown", detail="no answer"),
]
COMMITTED = TestCase.captureOnCommitCallbacks


@dataclass
class Handover:
    """One send of a touch to a server. ``counts_at``: when it counts against the limit; 0.0: it was not handed over."""

    outgoing: Outgoing
    at: float
    counts_at: float | None = None
    lease_ends: float = 0.0


@dataclass
class ModelTouch:
    inbox: str
    recipient: str
    status: str
    due: float = 0.0
    tries: int = 0
    handovers: list[Handover] = field(default_factory=list)


class ManualPool:
    """A pool whose touches stay in flight until the test supplies the server's answer."""

    size = 3

    def __init__(self, on_submit: Any) -> None:
        self._on_submit = on_submit
        self.touches_in_flight: dict[str, Outgoing] = {}
        self.done: list[SendResult] = []

    @property
    def in_flight(self) -> tuple[Outgoing, ...]:
        return (*self.touches_in_flight.values(), *(result.outgoing for result in self.done))

    @property
    def free(self) -> int:
        return self.size - len(self.in_flight)

    def submit(self, touches: tuple[Outgoing, ...]) -> None:
        for touch in touches:
            self._on_submit(touch)
            self.touches_in_flight[touch.touch_id] = touch

    def poll(self, wait_seconds: float = 0.0) -> list[SendResult]:
        done, self.done = self.done, []
        return done


@dataclass
class Process:
    """A worker with its own copy of everything that workers do not share."""

    worker: Worker
    pool: ManualPool
    ledger: Ledger
    inbox_cache: InboxCache
    lease_owner: LeaseOwner


class TouchMachine(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        client = get_redis_connection("outreach")
        client.flushall()
        for table in (Attempt, Touch, Suppression, Inbox):
            table.objects.all().delete()
        self.client, self.clock = client, FixedClock()
        self.lanes = Lanes(client, lambda: round(self.clock.now * 1000))
        self.lanes.mark_initialised(0)
        self.view = QueueView(client)
        self.intake = Intake(self.lanes, self.clock)
        self.operations = TouchOperations(self.lanes, self.clock)
        self.reconciler = Reconciler(self.lanes, self.view, round(LEASE_SECONDS * 1000))
        self.ids = {change_inbox(FREE, {}).pk: FREE, change_inbox(LIMITED, {"per_minute": A_MINUTE}).pk: LIMITED}
        self.processes = {name: self.process(name) for name in ("anna", "bert")}
        self.touches: dict[str, ModelTouch] = {}
        self.first_of_key: dict[str, Any] = {}
        self.suppressed: set[str] = set()
        self.paused: set[str] = set()
        self.held_until: dict[str, float] = {}

    def process(self, name: str) -> Process:
        conf = OutreachConf(follow_inboxes_seconds=0.0, sweep_seconds=0.0, breaker_failures=1_000)
        lease_owner, inbox_cache, pool = LeaseOwner(name, LEASE_SECONDS), InboxCache(), ManualPool(self.on_submit)
        guard = RefusalGuard(RefusalLimits(1_000, 1_000))
        ledger = Ledger(lease_owner, inbox_cache, RetryPolicy(RETRIES, 15.0, 4.0), guard, lambda: 0.0)
        maintenance = Maintenance(lease_owner, conf, self.lanes, ledger, inbox_cache, self.reconciler)
        worker = Worker(lease_owner, conf, self.lanes, ledger, inbox_cache, pool, maintenance, self.clock)  # type: ignore[arg-type]
        return Process(worker, pool, ledger, inbox_cache, lease_owner)

    # What people do

    @rule(
        inbox=st.sampled_from(INBOXES),
        recipient=st.sampled_from(RECIPIENTS),
        delay=st.sampled_from([None, None, 30.0]),
        key=st.sampled_from([None, None, "once"]),
    )
    def enqueue(self, inbox: str, recipient: str, delay: float | None, key: str | None) -> None:
        self.clock.advance(0.001)  # ids sort by time, so that an example runs the same way again
        draft = {"inbox": inbox, "recipient": recipient, "subject": "Hi", "body": "Hello", "idempotency_key": key}
        draft |= {"not_before": delay and self.clock.now + delay}
        if key and self.first_of_key.setdefault(key, draft) != draft:
            with pytest.raises(KeyReusedError):
                self.intake.accept(draft)
            return
        with COMMITTED(execute=True):
            accepted = self.intake.accept(draft)
        assert accepted.is_repeat == (accepted.touch_id in self.touches)
        if not accepted.is_repeat:
            due = self.clock.now + (delay or 0.0)
            status = "suppressed" if recipient in self.suppressed else "waiting" if delay else "queued"
            self.touches[accepted.touch_id] = ModelTouch(inbox, recipient, status, due)

    @rule(recipient=st.sampled_from(RECIPIENTS))
    def suppress(self, recipient: str) -> None:
        with COMMITTED(execute=True):
            suppress_recipient(recipient.upper(), "asked", self.lanes)
        self.stop_recipient(recipient)

    @rule(data=st.data())
    def unsubscribe(self, data: st.DataObject) -> None:
        if touch_id := self.pick(data, lambda touch: bool(touch.handovers)):
            touch = touch_of_token(unsubscribe_token(touch_id))
            assert touch is not None
            with COMMITTED(execute=True):
                suppress(touch.recipient_key, touch.recipient, "unsubscribed", self.lanes)
            self.stop_recipient(touch.recipient)

    def stop_recipient(self, recipient: str) -> None:
        self.suppressed.add(recipient)
        for touch in self.touches.values():
            if touch.recipient == recipient and touch.status in RESERVABLE:
                touch.status = "suppressed"

    @rule(address=st.sampled_from(INBOXES), paused=st.booleans())
    def pause(self, address: str, paused: bool) -> None:
        set_paused(Inbox.objects.filter(address=address), paused=paused)
        if not paused:
            self.held_until.pop(address, None)
        (self.paused.add if paused else self.paused.discard)(address)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if touch_id := self.pick(data, lambda touch: touch.status in RESERVABLE):
            with COMMITTED(execute=True):
                assert self.operations.cancel(Touch.objects.filter(pk=touch_id)) == 1
            self.touches[touch_id].status = "cancelled"

    @rule(data=st.data())
    def redrive(self, data: st.DataObject) -> None:
        if touch_id := self.pick(data, lambda touch: touch.status == "dead"):
            self.send_again(touch_id, self.operations.redrive)

    @rule(data=st.data(), left=st.booleans())
    def resolve_unknown(self, data: st.DataObject, left: bool) -> None:
        touch_id = self.pick(data, lambda touch: touch.status == "unknown")
        if touch_id and left:
            assert self.operations.resolve_as_sent(Touch.objects.filter(pk=touch_id)) == 1
            self.touches[touch_id].status = "sent"
        elif touch_id:
            self.send_again(touch_id, self.operations.send_again)

    def send_again(self, touch_id: str, operation: Any) -> None:
        touch = self.touches[touch_id]
        may = touch.recipient not in self.suppressed
        with COMMITTED(execute=True):
            assert operation(Touch.objects.filter(pk=touch_id)) == may
        if may:
            touch.status, touch.due, touch.tries = "queued", 0.0, 0

    def pick(self, data: st.DataObject, fits: Any) -> str | None:
        fitting = [touch_id for touch_id, touch in self.touches.items() if fits(touch)]
        return data.draw(st.sampled_from(fitting)) if fitting else None

    # What workers and servers do

    @rule(name=st.sampled_from(["anna", "bert"]), times=st.integers(1, 3))
    def step(self, name: str, times: int) -> None:
        for _ in range(times):
            self.process_answers(self.processes[name])
            self.follow_holds(self.processes[name])
            self.processes[name].worker.step()
            self.follow()

    @rule(name=st.sampled_from(["anna", "bert"]), outcome=st.sampled_from(OUTCOMES), data=st.data())
    def answer(self, name: str, outcome: Outcome, data: st.DataObject) -> None:
        """The server's answer to one touch, which the worker has not recorded yet."""
        pool = self.processes[name].pool
        if pool.touches_in_flight:
            outgoing = pool.touches_in_flight.pop(data.draw(st.sampled_from(sorted(pool.touches_in_flight))))
            pool.done.append(SendResult(outgoing, outcome, self.clock.now))
            handover = self.handover_of(outgoing)
            if outcome.is_handed_over and handover.counts_at is None:
                handover.counts_at = self.clock.now

    @rule(name=st.sampled_from(["anna", "bert"]))
    def heartbeat(self, name: str) -> None:
        process = self.processes[name]
        process.worker.send_heartbeat()
        for outgoing in process.pool.in_flight:
            if self.touches[outgoing.touch_id].status == "sending" and self.is_newest(outgoing):
                self.handover_of(outgoing).lease_ends = self.clock.now + LEASE_SECONDS

    @rule(name=st.sampled_from(["anna", "bert"]), where=st.sampled_from(["working", "reserved", "noted", "written"]))
    def crash(self, name: str, where: str) -> None:
        """At work; after reserving touches; after marking them in the ledger; after recording an answer there."""
        process = self.processes[name]
        if where in {"reserved", "noted"}:
            process.inbox_cache.refresh()  # as its step does before it takes anything
            effective_limits = process.inbox_cache.effective_limits(self.ids, self.clock.now)
            held = self.lanes.reserve(process.lease_owner, 2, effective_limits, max_per_lane=2).reservations
            if where == "noted":
                for outgoing in process.ledger.claim(held, self.clock.now).outgoing:
                    self.on_submit(outgoing)
        if where == "written":
            self.process_answers(process)
            process.ledger.settle(process.pool.poll(), self.clock.now)
        self.processes[name] = self.process(name)
        self.follow()

    @rule(restored_by=st.sampled_from(["reconcile", "worker"]))
    def lose_redis(self, restored_by: str) -> None:
        self.client.flushall()
        if restored_by == "reconcile":
            self.reconciler.reconcile_all(self.clock.now)

    @rule(seconds=st.sampled_from([0.001, 1.0, 5.0, 15.0, 61.0, 61.0, 300.0]))
    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)

    # The model

    def on_submit(self, outgoing: Outgoing) -> None:
        """A touch is handed to a server: sending must be allowed now."""
        touch, now = self.touches[outgoing.touch_id], self.clock.now
        assert touch.status in RESERVABLE, touch
        assert touch.due <= now + 0.001, touch
        assert touch.recipient not in self.suppressed
        assert touch.inbox not in self.paused
        assert self.held_until.get(touch.inbox, 0.0) <= now + 0.001
        touch.handovers.append(Handover(outgoing, now, lease_ends=now + LEASE_SECONDS))
        touch.status, touch.tries = "sending", touch.tries + 1
        assert outgoing.tries == touch.tries
        if touch.inbox == LIMITED:
            assert self.used(LIMITED) <= A_MINUTE

    def used(self, inbox: str) -> int:
        """Sends of the last minute; unanswered ones may be in progress."""
        handovers = [one for touch in self.touches.values() if touch.inbox == inbox for one in touch.handovers]
        return sum(one.counts_at is None or one.counts_at > self.clock.now - 60.0 for one in handovers)

    def process_answers(self, process: Process) -> None:
        """Applies the answers that the worker records in its next step."""
        for result in process.pool.done:
            touch = self.touches[result.outgoing.touch_id]
            if touch.status == "sending" and not result.outcome.is_handed_over:
                self.handover_of(result.outgoing).counts_at = 0.0
            if touch.status in {"sending", "unknown"} and self.is_newest(result.outgoing):
                self.apply(touch, result)

    def apply(self, touch: ModelTouch, result: SendResult) -> None:
        outcome = result.outcome
        delay = max(outcome.retry_after_seconds or 0.0, 15.0 * 4.0 ** (touch.tries - 1))
        if outcome.kind == "retry" and touch.tries <= RETRIES:
            touch.status, touch.due = "retrying", result.finished_at + delay
        elif outcome.kind in {"pause", "hold"}:
            touch.status, touch.due, touch.tries = "waiting", 0.0, touch.tries - 1
        else:
            touch.status = outcome.kind if outcome.kind in {"sent", "unknown"} else "dead"
        if outcome.kind == "pause":
            self.paused.add(touch.inbox)
        if outcome.kind == "suppress":
            self.suppressed.add(touch.recipient)

    def follow_holds(self, process: Process) -> None:
        """A refusal of a touch that was in flight when the hold began does not prolong it, nor does its send end it."""
        for result in process.pool.done:
            inbox = result.outgoing.sender_address
            if result.outcome.kind in {"hold", "sent"} and result.outgoing.started_at >= self.held_until.get(
                inbox, 0.0
            ):
                self.held_until[inbox] = result.finished_at + 60.0 if result.outcome.kind == "hold" else 0.0

    def follow(self) -> None:
        """Follows transitions made by workers alone: an expired lease is recovered, a waiting touch is suppressed."""
        for touch_id, status in self.statuses().items():
            touch = self.touches[touch_id]
            if touch.status == "sending" and status == "unknown":
                assert touch.handovers[-1].lease_ends <= self.clock.now
                touch.status = "unknown"
                touch.handovers[-1].counts_at = touch.handovers[-1].counts_at or self.clock.now
            elif touch.status in RESERVABLE and status == "suppressed":
                assert touch.recipient in self.suppressed
                touch.status = "suppressed"

    def handover_of(self, outgoing: Outgoing) -> Handover:
        return next(one for one in self.touches[outgoing.touch_id].handovers if one.outgoing is outgoing)

    def is_newest(self, outgoing: Outgoing) -> bool:
        return self.touches[outgoing.touch_id].handovers[-1].outgoing is outgoing

    def statuses(self) -> dict[str, str]:
        return {str(pk): status for pk, status in Touch.objects.values_list("pk", "status")}

    @invariant()
    def the_ledger_says_what_the_model_says(self) -> None:
        if hasattr(self, "touches"):
            assert self.statuses() == {touch_id: touch.status for touch_id, touch in self.touches.items()}

    def teardown(self) -> None:
        """Removes every obstacle; each touch that is not final must then reach a final state."""
        if not hasattr(self, "touches"):
            return
        for address in INBOXES:
            self.pause(address, paused=False)
        for _ in range(len(self.touches) + 12):
            for name, process in self.processes.items():
                while process.pool.touches_in_flight:
                    _, outgoing = process.pool.touches_in_flight.popitem()
                    process.pool.done.append(SendResult(outgoing, Outcome("sent"), self.clock.now))
                    self.handover_of(outgoing).counts_at = self.handover_of(outgoing).counts_at or self.clock.now
                self.step(name, 3)
            for address in sorted(self.paused):  # an answer that came late
                self.pause(address, paused=False)
            self.clock.advance(301.0)
        self.the_ledger_says_what_the_model_says()
        assert [touch for touch in self.touches.values() if touch.status not in {*FINAL, "unknown"}] == []
        overview = self.view.overview()
        assert (overview.in_flight, overview.leases_ended) == (0, 0)
        assert self.view.queued_ids(self.ids) == set()


@pytest.mark.usefixtures("redis_of", "db")
class TestTouches(TouchMachine.TestCase):
    settings = settings(
        max_examples=30,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
