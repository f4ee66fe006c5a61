import signal
import threading

import pytest

from avo_project.runtime.stop_flag import StopFlag
from signals_app.services.stop_deadline import StopDeadline, TimeIsUpError


def test_before_it_is_asked_to_stop_nothing_must_end() -> None:
    with StopDeadline(StopFlag()) as deadline:
        assert not deadline.must_end()


def test_a_batch_has_its_time_and_then_must_end() -> None:
    stop = StopFlag()
    with StopDeadline(stop, finish_seconds=0, abandon_seconds=(60,)) as deadline:
        stop.set()
        for _ in range(1_000):
            if deadline.must_end():
                break
            threading.Event().wait(0.01)
        else:
            pytest.fail("it never ends")


def test_a_handler_that_goes_on_is_interrupted() -> None:
    stop, before = StopFlag(), signal.getsignal(signal.SIGALRM)
    stop.set()
    with pytest.raises(TimeIsUpError), StopDeadline(stop, abandon_seconds=(0.05,)):
        signal.pause()  # a handler in the middle of something
    assert signal.getsignal(signal.SIGALRM) is before


def test_what_hangs_after_that_is_interrupted_as_well() -> None:
    stop, interrupted = StopFlag(), 0
    stop.set()
    with StopDeadline(stop, abandon_seconds=(0.05, 0.1, 0.15)):
        for _ in range(3):
            try:
                signal.pause()
            except TimeIsUpError:
                interrupted += 1
    assert interrupted == 3


def test_a_shutdown_in_time_is_not_interrupted() -> None:
    stop = StopFlag()
    with StopDeadline(stop, abandon_seconds=(60,)):
        stop.set()
