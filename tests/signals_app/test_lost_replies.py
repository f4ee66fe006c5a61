"""Whatever command's reply is lost: nothing is lost, nothing is added, handled or dead-lettered twice."""

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import RedisError

from avo_project.runtime.heartbeat import Heartbeat
from signals_app import keys
from signals_app.domain.delivery import RetryLaterError
from signals_app.domain.event import Event
from signals_app.services.publisher import Publisher
from signals_app.services.source import Member
from signals_app.store.group import ConsumerGroup
from signals_app.store.stream import SignalStream
from tests.reply_thief import ReplyThief
from tests.signals_app.conftest import ConsumerHarness, RecordingHandler, event, fields, number_of

pytestmark = pytest.mark.real_server
EVENTS = 12
FAILS_ONCE = 5


@dataclass
class Scenario:
    """Publishes, consumes, retries, claims from expired consumers, dead-letters and leaves, through a given client.

    The member beats in the middle of each event's handling, and in whatever way ``beating`` says besides.
    """

    harness: Callable[..., ConsumerHarness]
    redis_client: Any
    beating: Callable[[Member], AbstractContextManager[object]] = lambda member: nullcontext()

    def run(self, client: Any) -> RecordingHandler:
        self.redis_client.flushall()
        handler = RecordingHandler(takes_batch=False)
        self.publish(client)
        self.leave_something_behind()
        group = ConsumerGroup(client, keys.DEFAULT_GROUP, heartbeat_ttl_ms=60_000)
        one = self.harness("one", in_group=group, via=client, with_handler=handler, count=4)

        def fails(given: Event) -> Exception | None:
            with_reply_or_without(one.member.beat)
            is_due = number_of(given) == FAILS_ONCE and handler.handled.count(FAILS_ONCE) < 2
            return RetryLaterError() if is_due else None

        handler.fails = fails
        with self.beating(one.member):
            one.drain()
        with_reply_or_without(one.member.leave)
        return handler

    def publish(self, client: Any) -> None:
        stream = SignalStream(client, soft_cap=1_000, hard_cap=2_000)
        publisher = Publisher(stream, soft_cap=1_000, batch_size=5, pause=lambda seconds: None)
        for _ in publisher.publish(event(number) for number in range(EVENTS)):
            pass
        self.redis_client.xadd(keys.LIVE, fields(99, direction="up"))

    def leave_something_behind(self) -> None:
        """A dead consumer holds the first event."""
        ConsumerGroup(self.redis_client, keys.DEFAULT_GROUP, heartbeat_ttl_ms=0).read("dead", count=1, block_ms=0)


def with_reply_or_without(call: Callable[[], object]) -> None:
    try:
        call()
    except RedisError:
        return


def commands_of(scenario: Scenario, server: str, folder: Path) -> list[str]:
    thief = ReplyThief(server, folder)
    with thief as client:
        scenario.run(client)
    return thief.commands


def test_no_lost_reply_loses_or_doubles_anything(
    redis_client: Any, harness: Callable[..., ConsumerHarness], tmp_path: Path
) -> None:
    redis_client.ping()
    server = redis_client.connection_pool.connection_kwargs["path"]
    scenario = Scenario(harness, redis_client)
    commands = commands_of(scenario, server, tmp_path)
    assert {"EVALSHA", "XREADGROUP", "XACK", "XGROUP", "XPENDING", "HGET"} <= set(commands)
    for steals in range(1, len(commands) + 1):
        with ReplyThief(server, tmp_path, steals) as client:
            handler = scenario.run(client)
        check(redis_client, handler, f"lost the reply to number {steals}, {commands[steals - 1]}")


def test_no_reply_lost_to_the_heartbeat_thread_does_either(
    redis_client: Any, harness: Callable[..., ConsumerHarness], tmp_path: Path
) -> None:
    """The thread's commands fall between the others, each time elsewhere."""
    redis_client.ping()
    server = redis_client.connection_pool.connection_kwargs["path"]
    scenario = Scenario(harness, redis_client, beating=lambda member: Heartbeat(member.beat, interval_seconds=0.0005))
    for steals in range(1, len(commands_of(scenario, server, tmp_path)) + 1, 2):
        with ReplyThief(server, tmp_path, steals) as client:
            handler = scenario.run(client)
        check(redis_client, handler, f"lost the reply to number {steals}")


def check(redis_client: Any, handler: RecordingHandler, lost: str) -> None:
    assert redis_client.xlen(keys.LIVE) == EVENTS + 1, lost
    assert Counter(handler.handled) == {number: 1 + (number == FAILS_ONCE) for number in range(EVENTS)}, lost
    assert [letter[b"signal_id"] for _, letter in redis_client.xrange(keys.DEAD)] == [
        fields(99)["signal_id"].encode()
    ], lost
    assert redis_client.xpending(keys.LIVE, keys.DEFAULT_GROUP)["pending"] == 0, lost
