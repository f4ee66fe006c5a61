"""The queue held against a pure model: whatever happens in whatever order, both give the same touches at the same time.

The model decides by ``inbox_rules.judge``, so this also holds reserve.lua to the rules that explain a wait to people.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from django_redis import get_redis_connection
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from outreach import keys
from outreach.domain.inbox_rules import NEVER_MS, History, InboxRules, decide
from outreach.domain.reservation import BEHIND, LeaseOwner, Reservation, Settlement
from outreach.store.inspection import QueueView
from outreach.store.lanes import Lanes
from tests.doubles import FixedClock

INBOXES = (1, 2)
LEASE_SECONDS = 50.0
DAY_MS = 86_400_000
RULES = st.builds(
    InboxRules,
    per_minute=st.sampled_from([None, None, 1, 2, 5]),
    per_day=st.sampled_from([None, None, None, 3, 8]),
    min_gap_seconds=st.sampled_from([None, None, 1.0, 20.0]),
)


@dataclass
class ModelLane:
    """The model of one inbox and its lane."""

    rules: InboxRules = field(default_factory=InboxRules)
    waiting: list[str] = field(default_factory=list)
    delayed: dict[str, int] = field(default_factory=dict)
    stamps: list[int] = field(default_factory=list)
    in_flight: int = 0
    held_until_ms: int = 0

    def may_send(self, now_ms: int) -> bool:
        history = History(self.stamps, self.in_flight, self.held_until_ms)
        return decide(self.rules.effective_limits(now_ms / 1000), history, now_ms).reason is None

    def pop(self, now_ms: int) -> str | None:
        due = sorted((at, touch) for touch, at in self.delayed.items() if at <= now_ms)
        if due:
            del self.delayed[due[0][1]]
            return due[0][1]
        return self.waiting.pop(0) if self.waiting else None


PAUSES = st.sampled_from([0.0, 0.001, 0.5, 1.0, 1.001, 20.001, 60.0, 60.001])


class QueueMachine(RuleBasedStateMachine):
    held = Bundle("held")

    @initialize(rules=st.lists(RULES, min_size=len(INBOXES), max_size=len(INBOXES)))
    def start(self, rules: list[InboxRules]) -> None:
        client = get_redis_connection("outreach")
        client.flushall()
        self.client = client
        self.clock = FixedClock()
        self.lanes = Lanes(client, self.now_ms)
        self.lanes.mark_initialised(0)
        self.view = QueueView(client)
        self.model = {inbox_id: ModelLane(its) for inbox_id, its in zip(INBOXES, rules, strict=True)}
        self.leases: dict[str, tuple[Reservation, int]] = {}
        self.made = 0

    def now_ms(self) -> int:
        return round(self.clock.now * 1000)

    @rule(
        inbox_id=st.sampled_from(INBOXES), count=st.integers(1, 5), delay_ms=st.sampled_from([0, 0, 0, 3_000, 90_000])
    )
    def enqueue(self, inbox_id: int, count: int, delay_ms: int) -> None:
        ids = [f"t{self.made + number:04d}" for number in range(count)]
        self.made += count
        if delay_ms:
            due_ms = self.now_ms() + delay_ms
            self.lanes.enqueue(inbox_id, [], [(one, due_ms) for one in ids])
            self.model[inbox_id].delayed |= dict.fromkeys(ids, due_ms)
        else:
            self.lanes.enqueue(inbox_id, ids)
            self.model[inbox_id].waiting += ids

    @rule(
        target=held,
        worker=st.sampled_from(["anna", "bert"]),
        order=st.permutations(INBOXES),
        wanted=st.integers(1, 6),
        share=st.integers(1, 4),
    )
    def reserve(self, worker: str, order: list[int], wanted: int, share: int) -> Any:
        effective_limits = {inbox_id: self.model[inbox_id].rules.effective_limits(self.clock.now) for inbox_id in order}
        reserved = self.lanes.reserve(
            LeaseOwner(worker, LEASE_SECONDS), wanted, effective_limits, max_per_lane=share, ahead=5
        )
        found = [(one.inbox_id, one.touch_id) for one in reserved.reservations]
        assert found == self.expected(order, wanted, share)
        return self.record(reserved.reservations)

    def expected(self, order: list[int], wanted: int, share: int) -> list[tuple[int, str]]:
        taken: list[tuple[int, str]] = []
        for inbox_id in order:
            lane, mine = self.model[inbox_id], 0
            while mine < share and len(taken) < wanted and lane.may_send(self.now_ms()):
                touch = lane.pop(self.now_ms())
                if touch is None:
                    break
                taken.append((inbox_id, touch))
                lane.in_flight, mine = lane.in_flight + 1, mine + 1
        return taken

    def record(self, reservations: tuple[Reservation, ...]) -> Any:
        for one in reservations:
            assert one.token > max(
                (old.token for old, _ in self.leases.values() if old.touch_id == one.touch_id), default=0
            )
            self.leases[one.touch_id] = (one, self.now_ms() + round(LEASE_SECONDS * 1000))
        return multiple(*reservations)

    @rule(
        one=consumes(held),
        ago_ms=st.sampled_from([0, 0, 40, 2_000]),
        due_in_ms=st.sampled_from([None, None, None, 0, 9_000]),
    )
    def send(self, one: Reservation, ago_ms: int, due_in_ms: int | None) -> None:
        """Sent, or due again later."""
        due_ms = None if due_in_ms is None else self.now_ms() + due_in_ms
        ended = self.lanes.settle([Settlement(one, due_ms, sent_ago_ms=ago_ms)])
        if self.ends(one, ended):
            lane = self.model[one.inbox_id]
            lane.stamps.append(max(lane.stamps[-1] if lane.stamps else 0, self.now_ms() - ago_ms))
            if due_ms is not None:
                lane.delayed[one.touch_id] = due_ms

    @rule(one=consumes(held), due_ms=st.sampled_from([0, BEHIND, None]))
    def refuse(self, one: Reservation, due_ms: int | None) -> None:
        """Not sent: requeued first or last, or removed from the queue."""
        ended = self.lanes.settle([Settlement(one, due_ms)])
        if self.ends(one, ended) and due_ms == 0:
            self.model[one.inbox_id].delayed[one.touch_id] = 0
        elif ended and due_ms == BEHIND:
            self.model[one.inbox_id].waiting.append(one.touch_id)

    @rule(order=st.permutations(INBOXES), kept=st.integers(0, 3), ago_ms=st.sampled_from([0, 0, 700]), seconds=PAUSES)
    def work(self, order: list[int], kept: int, ago_ms: int, seconds: float) -> None:
        """A worker's whole round: takes what it may, sends all but a few, and some time goes by."""
        self.reserve("anna", order, 6, 3)
        mine = [one for one, _ in self.leases.values()]
        for one in mine[kept:]:
            self.send(one, ago_ms, None)
        self.clock.advance(seconds)

    def ends(self, one: Reservation, ended: int) -> bool:
        """Whether the token is still valid, in the model and in the queue."""
        current, _ = self.leases.get(one.touch_id, (None, 0))
        assert ended == (current == one)
        if current != one:
            return False
        del self.leases[one.touch_id]
        self.model[one.inbox_id].in_flight -= 1
        return True

    @rule(one=held)
    def renew(self, one: Reservation) -> None:
        current, _ = self.leases.get(one.touch_id, (None, 0))
        assert self.lanes.renew(LeaseOwner("anna", LEASE_SECONDS), [one]) == (current == one)
        if current == one:
            self.leases[one.touch_id] = (one, self.now_ms() + round(LEASE_SECONDS * 1000))

    @rule(target=held, most=st.integers(1, 5))
    def recover(self, most: int) -> Any:
        """A crashed worker does not come back; its leases expire."""
        taken = self.lanes.recover(LeaseOwner("carl", LEASE_SECONDS), most)
        ended = sorted((ends, touch) for touch, (_, ends) in self.leases.items() if ends <= self.now_ms())
        assert [one.touch_id for one in taken] == [touch for _, touch in ended[:most]]
        return self.record(taken)

    @rule(inbox_id=st.sampled_from(INBOXES), data=st.data())
    def suppress(self, inbox_id: int, data: st.DataObject) -> None:
        lane = self.model[inbox_id]
        if not lane.waiting and not lane.delayed:
            return
        touch = data.draw(st.sampled_from(sorted([*lane.waiting, *lane.delayed])))
        self.lanes.withdraw(inbox_id, [touch])
        lane.waiting = [one for one in lane.waiting if one != touch]
        lane.delayed.pop(touch, None)

    @rule(inbox_id=st.sampled_from(INBOXES), rules=RULES, paused=st.sampled_from([False, False, True]))
    def change(self, inbox_id: int, rules: InboxRules, paused: bool) -> None:
        self.model[inbox_id].rules = replace(rules, paused=paused)
        self.lanes.recheck(inbox_id)

    @rule(inbox_id=st.sampled_from(INBOXES), seconds=st.sampled_from([0, 30]))
    def rest(self, inbox_id: int, seconds: int) -> None:
        self.model[inbox_id].held_until_ms = self.now_ms() + seconds * 1000
        self.lanes.recheck(inbox_id, self.model[inbox_id].held_until_ms)

    @rule(seconds=st.sampled_from([0.001, 0.5, 1.0, 1.001, 20.001, 60.0, 60.001, 3600, 86_400.002]))
    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: self.made)
    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        for inbox_id, lane in self.model.items():
            waiting = [one.decode() for one in self.client.lrange(keys.lane(inbox_id), 0, -1)]
            delayed = {
                one.decode(): int(at) for one, at in self.client.zrange(keys.delayed(inbox_id), 0, -1, withscores=True)
            }
            assert (waiting, delayed) == (lane.waiting, lane.delayed)
        assert self.view.reserved_ids() == set(self.leases)
        assert {one.touch_id for one in self.view.leased_touches(1000)} == set(self.leases)

    @precondition(lambda self: self.made)
    @invariant()
    def limits_look_back_on_the_same_sends(self) -> None:
        for inbox_id, view in self.view.lanes(INBOXES, sends=1000).items():
            lane = self.model[inbox_id]
            assert view.history.in_flight == lane.in_flight
            fresh = [at for at in lane.stamps if at > self.now_ms() - DAY_MS]
            known = list(view.history.stamps_ms)
            assert known[len(known) - len(fresh) :] == fresh
            assert lane.stamps[len(lane.stamps) - len(known) :] == known

    @precondition(lambda self: self.made)
    @invariant()
    def no_lane_is_looked_at_too_late(self) -> None:
        """A lane with a touch that may be sent now is due now."""
        for inbox_id, view in self.view.lanes(INBOXES).items():
            lane = self.model[inbox_id]
            if lane.waiting or lane.delayed:
                assert view.next_ms is not None
            is_due = bool(lane.waiting) or any(at <= self.now_ms() for at in lane.delayed.values())
            if is_due and lane.may_send(self.now_ms()):
                assert view.next_ms is not None
                assert view.next_ms <= self.now_ms() < NEVER_MS


@pytest.mark.usefixtures("redis_of")
class TestQueue(QueueMachine.TestCase):
    settings = settings(
        max_examples=60,
        stateful_step_count=50,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
