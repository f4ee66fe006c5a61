"""The heartbeat thread."""

import threading

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from avo_project.runtime.heartbeat import Heartbeat


def test_it_beats_at_once_and_again_until_it_is_left() -> None:
    beaten = threading.Semaphore(0)
    with Heartbeat(beaten.release, interval_seconds=0.001):
        for _ in range(3):
            assert beaten.acquire(timeout=5)
    assert not [thread for thread in threading.enumerate() if thread.name == "heartbeat"]


def test_a_lost_connection_is_logged_and_the_next_beat_tries_again(caplog: pytest.LogCaptureFixture) -> None:
    beats = iter(range(1000))
    recovered = threading.Event()

    def beat() -> None:
        number = next(beats)
        if number == 1:
            raise RedisConnectionError("gone")
        if number > 1:
            recovered.set()

    with Heartbeat(beat, interval_seconds=0.001):
        assert recovered.wait(5)
    assert "heartbeat missed: gone" in caplog.text


def test_a_bug_in_the_beat_reaches_the_owner() -> None:
    broken = threading.Event()

    def beat() -> None:
        if threading.current_thread().name == "heartbeat":
            broken.set()
            raise KeyError("bug")

    with pytest.raises(KeyError, match="bug"), Heartbeat(beat, interval_seconds=0.001):
        assert broken.wait(5)
