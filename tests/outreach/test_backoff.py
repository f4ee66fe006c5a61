"""Redis or the database away: who may wait waits."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError

from avo_project.runtime.stop_flag import StopFlag
from outreach.models import Inbox, Touch
from outreach.services.backoff import Backoff
from tests.doubles import DownRedis, FixedClock
from tests.outreach.conftest import Desk

Queue = Callable[..., list[Touch]]
pytestmark = pytest.mark.django_db


def test_rests_grow_and_begin_anew(clock: FixedClock) -> None:
    backoff = Backoff(clock, None)
    rests = [backoff.rest_seconds(RedisConnectionError("away")) for _ in range(6)]
    assert rests == [0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    clock.advance(1_000_000)
    backoff.renew()
    assert backoff.rest_seconds(OperationalError("away")) == 0.2


def test_patience_ends_only_where_it_is_limited(clock: FixedClock) -> None:
    backoff = Backoff(clock, 10.0)
    backoff.rest_seconds(RedisConnectionError("away"))
    clock.advance(9.9)
    backoff.rest_seconds(RedisConnectionError("away"))
    clock.advance(0.1)
    with pytest.raises(RedisConnectionError, match="away"):
        backoff.rest_seconds(RedisConnectionError("away"))


def test_a_worker_outlives_a_lost_server_and_goes_on(
    inbox: Inbox, queue_up: Queue, desk: Desk, clock: FixedClock, redis_of: Any
) -> None:
    queue_up(2)
    stop, backoff, worker = StopFlag(), Backoff(clock, None), desk.worker
    down = DownRedis(redis_of("outreach"), is_down=True)
    worker._lanes._client, worker._lanes._scripts = down, {verb: _Down() for verb in worker._lanes._scripts}
    worker._beat_if_reachable()
    assert not worker._survive(stop, backoff, stop_when_idle=False)
    assert desk.sender.sent == []
    worker._lanes.__init__(redis_of("outreach"), worker._lanes._now_ms)  # type: ignore[misc]
    assert not worker._survive(stop, backoff, stop_when_idle=False)
    desk.work()
    assert len(desk.sender.sent) == 2


class _Down:
    def __call__(self, *arguments: Any) -> None:
        raise RedisConnectionError("down on demand")
