"""The stop flag under real signals."""

import os
import signal
import threading

from avo_project.runtime.stop_flag import StopFlag


def test_the_first_signal_sets_the_flag_and_gives_the_handlers_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopFlag() as stop:
        assert not stop
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(5)
        assert stop
        assert signal.getsignal(signal.SIGTERM) == before  # so that a second one kills
    assert signal.getsignal(signal.SIGTERM) == before


def test_leaving_the_context_gives_the_handlers_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with StopFlag():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_another_thread_can_set_it_and_wake_the_waiter() -> None:
    stop = StopFlag()
    threading.Timer(0.01, stop.set).start()
    assert stop.wait(10)


def test_waiting_ends_without_the_flag_when_the_time_is_up() -> None:
    assert not StopFlag().wait(0)
