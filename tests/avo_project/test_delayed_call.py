"""A delayed call is made once for all requests until then, and again for the next ones."""

import threading

from avo_project.runtime.delayed_call import DelayedCall


def test_requests_until_the_call_share_it() -> None:
    delayed = DelayedCall(lambda: None, 3600)
    delayed.request()
    timer = delayed._timer
    assert timer is not None
    delayed.request()
    assert delayed._timer is timer
    timer.cancel()
    timer.join(10)
    delayed.request()  # as after a fork, which ends the thread
    assert delayed._timer is not timer
    assert delayed._timer is not None
    delayed._timer.cancel()


def test_a_request_during_a_call_gets_a_call_of_its_own() -> None:
    began, may_end, again = threading.Event(), threading.Event(), threading.Event()

    def action() -> None:
        (again if began.is_set() else began).set()
        may_end.wait(10)

    delayed = DelayedCall(action, 0.0)
    delayed.request()
    assert began.wait(10)
    delayed.request()
    assert again.wait(10)
    may_end.set()
