"""Workers and the Redis server are killed at random while mails go to a real SMTP server, which does the counting."""

import os
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.end_to_end.embedded_user import kill, server_of
from tests.end_to_end.system import eventually
from tests.outreach.fleet import Fleet, fleet
from tests.outreach.relay import Misbehaving, relay_server

LONG = os.environ.get("AVO_CHAOS") == "long"
TOUCHES, INBOXES, KILLS, RESTARTS = (10_000, 200, 50, 5) if LONG else (500, 25, 5, 1)
CONCURRENCY, LEASE_SECONDS = 4, 3
SETTLED_WITHIN_SECONDS = 300 if LONG else 90


@pytest.fixture(params=["a sink", "a relay that misbehaves"])
def workers(request: Any) -> Iterator[Fleet]:
    """Three of them, not started yet, over a full queue; once with a server that accepts everything at once."""
    flags = ("--concurrency", str(CONCURRENCY), "--lease-seconds", str(LEASE_SECONDS))
    with ExitStack() as stack:
        if request.param == "a sink":
            made = stack.enter_context(fleet(*flags))
        else:
            relay = stack.enter_context(relay_server(Misbehaving(refuses=False)))
            settings = "tests.outreach.impatient_settings"
            made = stack.enter_context(fleet(*flags, relay=relay, DJANGO_SETTINGS_MODULE=settings))
        addresses = [f"i{number}@example.com" for number in range(INBOXES)]
        made.set_inboxes({address: {} for address in addresses})
        made.enqueue([addresses[number % INBOXES] for number in range(TOUCHES)])
        yield made


def is_settled(workers: Fleet) -> bool:
    return not set(workers.statuses().values()) - {"sent", "unknown"}


def test_chaos_sends_every_touch_once_or_says_that_it_does_not_know(workers: Fleet) -> None:
    chance = random.Random(20261123)
    workers.start()
    for number in range(1, KILLS + 1):
        goal = len(workers.sink.arrivals) + 5
        eventually(lambda goal=goal: len(workers.sink.arrivals) > goal or is_settled(workers), 60, 0.02)
        time.sleep(chance.uniform(0, 0.3))
        workers.kill(chance.randrange(len(workers.workers)))
        if number % (KILLS // RESTARTS) == 0:
            kill(server_of(workers.folder))
        workers.start()
    eventually(lambda: is_settled(workers), SETTLED_WITHIN_SECONDS, 0.5)
    exits = [status for status, _ in workers.stop()]

    statuses, counts = workers.statuses(), workers.sink.counts()
    unknown = [touch for touch, status in statuses.items() if status == "unknown"]
    print(f"touches={TOUCHES} kills={KILLS} restarts={RESTARTS} unknown={len(unknown)}")
    assert exits == [0, 0, 0]
    assert len(statuses) == TOUCHES
    assert [touch for touch, status in statuses.items() if status == "sent" and counts[touch] != 1] == []
    assert [touch for touch, times in counts.items() if times > 1] == []
    assert len(unknown) <= KILLS * CONCURRENCY


def test_chaos_of_a_lost_queue_sends_everything_once(workers: Fleet) -> None:
    """FLUSHALL in mid-run, then reconcile_outreach."""
    workers.start()
    eventually(lambda: len(workers.sink.arrivals) > TOUCHES // 10, 60, 0.02)
    workers.redis().flushall()
    workers.manage("reconcile_outreach")
    eventually(lambda: is_settled(workers), SETTLED_WITHIN_SECONDS, 0.5)
    assert [status for status, _ in workers.stop()] == [0, 0, 0]
    assert set(workers.statuses().values()) == {"sent"}
    assert set(workers.sink.counts().values()) == {1}
    assert len(workers.sink.counts()) == TOUCHES
