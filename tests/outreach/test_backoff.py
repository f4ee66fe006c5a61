"""The worker's back-off while Redis or the database is unavailable."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError

from avo_project.runtime.stop_flag import StopFlag
from outreach.models import Inbox, Touch
from outreach.services.backoff import Backoff
from tests.doubles import DownRedis, FixedClock
from tests.outreach.conftest import WorkerHarness

Queue = Callable[..., list[Touch]]
pytestmark = pytest.mark.django_db


def test_delays_grow_and_start_over_after_a_reset(clock: FixedClock) -> None:
    backoff = Backoff(clock, None)
    delays = [backoff.delay_seconds(RedisConnectionError("away")) for _ in range(6)]
    assert delays == [0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    clock.advance(1_000_000)
    backoff.reset()
    assert backoff.delay_seconds(OperationalError("away")) == 0.2


def test_backoff_raises_only_after_its_limit(clock: FixedClock) -> None:
    backoff = Backoff(clock, 10.0)
    backoff.delay_seconds(RedisConnectionError("away"))
    clock.advance(9.9)
    backoff.delay_seconds(RedisConnectionError("away"))
    clock.advance(0.1)
    with pytest.raises(RedisConnectionError, match="away"):
        backoff.delay_seconds(RedisConnectionError("away"))


def test_a_worker_outlives_a_lost_server_and_goes_on(
    inbox: Inbox, queue_up: Queue, harness: WorkerHarness, clock: FixedClock, redis_of: Any
) -> None:
    queue_up(2)
    stop, backoff, worker = StopFlag(), Backoff(clock, None), harness.worker
    down = DownRedis(redis_of("outreach"), is_down=True)
    worker._lanes._client, worker._lanes._scripts = down, {verb: _Down() for verb in worker._lanes._scripts}
    worker._send_heartbeat_if_reachable()
    assert not worker._step_or_back_off(stop, backoff, stop_when_idle=False)
    assert harness.sender.sent == []
    worker._lanes.__init__(redis_of("outreach"), worker._lanes._now_ms)  # type: ignore[misc]
    assert not worker._step_or_back_off(stop, backoff, stop_when_idle=False)
    harness.work()
    assert len(harness.sender.sent) == 2


class _Down:
    def __call__(self, *arguments: Any) -> None:
        raise RedisConnectionError("down on demand")
