"""Publish, read, acknowledge, crash, claim, release, trim, forget in any order, against a small model."""

from typing import Any

import pytest
from django_redis import get_redis_connection
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from signals_app import keys
from signals_app.store.group import ConsumerGroup
from signals_app.store.stream import SignalStream
from tests.signals_app.conftest import event, ids

GROUPS = ("apex-group", "audit")
CONSUMERS = ("one", "two")
SOFT_CAP = 100
groups = st.sampled_from(GROUPS)
consumers = st.sampled_from(CONSUMERS)


class ModelGroup:
    """What a group has still to get, what each consumer holds, how often that was delivered."""

    def __init__(self) -> None:
        self.read_up_to = 0  # how many entries of the stream's whole history were delivered
        self.holder: dict[str, str] = {}
        self.deliveries: dict[str, int] = {}
        self.is_alive = dict.fromkeys(CONSUMERS, False)

    def pending_of(self, consumer: str) -> list[str]:
        return [entry_id for entry_id, holder in self.holder.items() if holder == consumer]

    def let_go(self, entry_id: str) -> None:
        del self.holder[entry_id], self.deliveries[entry_id]


class StreamMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.client: Any = get_redis_connection("signals")
        self.client.flushall()
        self.stream = SignalStream(self.client, soft_cap=SOFT_CAP, hard_cap=10_000)
        self.history: list[str] = []
        self.dead: list[str] = []
        self.batch = 0
        self.model = {name: ModelGroup() for name in GROUPS}
        self.groups = {name: ConsumerGroup(self.client, name, heartbeat_ttl_ms=3_600_000) for name in GROUPS}
        self.ghosts = {name: ConsumerGroup(self.client, name, heartbeat_ttl_ms=0) for name in GROUPS}
        for group in self.groups.values():
            group.make()

    @rule(number=st.integers(1, 120), repeat=st.booleans())
    def publish(self, number: int, repeat: bool) -> None:
        """A batch, sent a second time as if its reply had been lost."""
        self.batch += 1
        events = [event(len(self.history) + one) for one in range(number)]
        published = self.stream.publish(events, publisher="p", batch=self.batch)
        if repeat:
            assert self.stream.publish(events, publisher="p", batch=self.batch).entry_ids == published.entry_ids
        self.history += published.entry_ids

    @rule(group=groups, consumer=consumers, count=st.integers(1, 80))
    def read(self, group: str, consumer: str, count: int) -> None:
        model = self.model[group]
        self.groups[group].beat(consumer, consumer, [])
        model.is_alive[consumer] = True
        expected = self.history[model.read_up_to :][:count]
        assert ids(self.groups[group].read(consumer, count=count, block_ms=0)) == expected
        model.read_up_to += len(expected)
        model.holder |= dict.fromkeys(expected, consumer)
        model.deliveries |= dict.fromkeys(expected, 1)

    @rule(group=groups, consumer=consumers, share=st.floats(0.1, 1))
    def acknowledge(self, group: str, consumer: str, share: float) -> None:
        model = self.model[group]
        if held := model.pending_of(consumer):
            done = held[: max(1, int(len(held) * share))]
            assert self.groups[group].acknowledge(done) == len(done)
            assert self.groups[group].acknowledge(done) == 0
            for entry_id in done:
                model.let_go(entry_id)

    @rule(group=groups, consumer=consumers)
    def crash(self, group: str, consumer: str) -> None:
        self.ghosts[group].beat(consumer, consumer, [])
        self.model[group].is_alive[consumer] = False

    @rule(group=groups, consumer=consumers, most=st.integers(1, 50))
    def claim(self, group: str, consumer: str, most: int) -> None:
        model = self.model[group]
        other = next(name for name in CONSUMERS if name != consumer)
        claimed = self.groups[group].claim_expired(consumer, min_idle_ms=0, count=most)
        expected = [] if model.is_alive[other] else sorted(model.pending_of(other), key=self.history.index)[:most]
        assert claimed == expected
        model.holder |= dict.fromkeys(claimed, consumer)

    @rule(group=groups, consumer=consumers, number=st.integers(1, 20))
    def deliver_again(self, group: str, consumer: str, number: int) -> None:
        model = self.model[group]
        asked = list(model.holder)[:number]
        again, gone = self.groups[group].deliver_again(consumer, asked)
        assert gone == []
        assert ids(again) == [entry_id for entry_id in asked if model.holder[entry_id] == consumer]
        for delivery in again:
            model.deliveries[delivery.entry_id] += 1
            assert delivery.deliveries == model.deliveries[delivery.entry_id]

    @rule(group=groups, consumer=consumers)
    def move_to_dead_letters(self, group: str, consumer: str) -> None:
        model = self.model[group]
        for entry_id in list(model.holder)[:1]:
            is_held = model.holder[entry_id] == consumer
            assert self.groups[group].move_to_dead_letters(consumer, entry_id, reason="bad", deliveries=1) == is_held
            if is_held:
                self.dead.append(entry_id)
                model.let_go(entry_id)

    @rule(group=groups, consumer=consumers)
    def leave(self, group: str, consumer: str) -> None:
        model = self.model[group]
        held = model.pending_of(consumer)
        not_started = held[::2]
        assert self.groups[group].release_name(consumer, consumer, not_started) == len(held)
        model.is_alive[consumer] = False
        for entry_id in not_started:
            model.deliveries[entry_id] = max(0, model.deliveries[entry_id] - 1)

    @rule()
    def trim(self) -> None:
        self.stream.trim()

    @precondition(lambda self: len(self.history) > 0)
    @rule()
    def forget_the_audit(self) -> None:
        """The group is dropped and made again: it gets whatever is still there."""
        self.client.xgroup_destroy(keys.LIVE, "audit")
        self.groups["audit"].make()
        alive = self.model["audit"].is_alive
        self.model["audit"] = ModelGroup()
        self.model["audit"].is_alive = alive
        self.model["audit"].read_up_to = len(self.history) - self.stream.length()

    @invariant()
    def the_server_agrees(self) -> None:
        for name, model in self.model.items():
            rows = self.client.xpending_range(keys.LIVE, name, "-", "+", 10_000)
            found = {row["message_id"].decode(): (row["consumer"].decode(), row["times_delivered"]) for row in rows}
            assert found == {
                entry_id: (holder, model.deliveries[entry_id]) for entry_id, holder in model.holder.items()
            }
        letters = [letter[b"dead_source_id"].decode() for _, letter in self.client.xrange(keys.DEAD)]
        assert letters == self.dead

    @invariant()
    def nothing_unhandled_was_trimmed_and_not_too_much_is_kept(self) -> None:
        there = [entry_id.decode() for entry_id, _ in self.client.xrange(keys.LIVE)]
        assert there == self.history[len(self.history) - len(there) :]
        assert len(there) >= min(SOFT_CAP, len(self.history))
        for model in self.model.values():
            assert set(model.holder) <= set(there)
            assert len(self.history) - model.read_up_to <= len(there)


@pytest.mark.real_server
def test_the_stream_behaves_as_its_model(redis_of: Any) -> None:
    run_state_machine_as_test(
        StreamMachine,
        settings=settings(
            max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
