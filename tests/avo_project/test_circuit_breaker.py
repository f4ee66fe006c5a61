"""The circuit breaker: open after a failure, one probe at a time, closed by a success."""

from avo_project.lib.circuit_breaker import CircuitBreaker


def test_open_it_lets_one_probe_through_at_a_time() -> None:
    breaker = CircuitBreaker(reset_seconds=1.0, probe_seconds=5.0)
    assert breaker.allows(9.0)
    assert breaker.trip(10.0)
    assert not breaker.trip(10.5)
    assert [breaker.allows(now) for now in (11.4, 11.5, 11.6, 16.4)] == [False, True, False, False]


def test_a_failed_probe_keeps_it_open_for_another_rest() -> None:
    breaker = CircuitBreaker(reset_seconds=1.0, probe_seconds=5.0)
    breaker.trip(10.0)
    assert breaker.allows(11.0)
    breaker.trip(13.0)
    assert [breaker.allows(now) for now in (13.9, 14.0, 14.1)] == [False, True, False]


def test_a_probe_that_is_never_heard_of_gives_way_to_the_next() -> None:
    breaker = CircuitBreaker(reset_seconds=1.0, probe_seconds=5.0)
    breaker.trip(10.0)
    assert breaker.allows(11.0)
    assert [breaker.allows(now) for now in (15.9, 16.0)] == [False, True]


def test_an_answer_closes_it() -> None:
    breaker = CircuitBreaker()
    assert not breaker.reset()
    breaker.trip(10.0)
    assert breaker.reset()
    assert not breaker.is_open
    assert breaker.allows(10.0)
