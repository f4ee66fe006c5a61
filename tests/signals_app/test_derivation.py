from typing import Any

import pytest

from signals_app.domain.event import Event, parse_entry
from signals_app.services.derivation import Change, Derived, Deriver
from signals_app.store.stream import SignalStream, StreamFullError

CHANGES: list[Change] = [("MSFT", "bear", 0.7), ("AAPL", "bull", 0.8), ("BTC/USDT", "calm", 0.6)]


def deriver(stream: SignalStream, cycle: str = "cycle 1", changes: list[Change] = CHANGES) -> Deriver:
    return Deriver(stream, lambda timeframe: (cycle, changes), clock=lambda: 2.0)


def events(stream: SignalStream) -> list[Event]:
    return [parse_entry(entry.fields) for entry in stream.between("-", "+", 5_000)]


def test_a_change_of_regime_becomes_a_signal(stream: SignalStream) -> None:
    assert deriver(stream).derive("1mo") == Derived("cycle 1", changes=3, published=3)
    apple, bitcoin, microsoft = events(stream)
    assert (apple.symbol, apple.direction, apple.confidence, apple.published_at_ms) == ("AAPL", "long", 0.8, 2_000)
    assert (bitcoin.direction, microsoft.direction) == ("flat", "short")
    assert apple.extra == {"timeframe": "1mo", "regime": "bull", "cycle": "cycle 1"}


def test_one_cycle_is_published_once(stream: SignalStream) -> None:
    deriver(stream).derive("1mo")
    assert deriver(stream).derive("1mo").published == 0
    assert deriver(stream).derive("1w").published == 3, "another timeframe is another matter"
    assert deriver(stream, "cycle 2").derive("1mo").published == 3
    assert len({event.signal_id for event in events(stream)}) == 9


def test_a_cycle_without_changes_publishes_nothing(stream: SignalStream) -> None:
    assert deriver(stream, "", []).derive("1mo") == Derived("", 0, 0)
    assert stream.length() == 0


class KilledError(BaseException):
    pass


class KilledAfter(SignalStream):
    """Ends the process after so many batches, before or after the script has run."""

    batches = 1
    ran = True

    def publish_with_checkpoint(self, *args: Any, **kwargs: Any) -> Any:
        self.batches -= 1
        if self.batches < 0 and not self.ran:
            raise KilledError
        published = super().publish_with_checkpoint(*args, **kwargs)
        if self.batches < 0:
            raise KilledError
        return published


@pytest.mark.parametrize("ran", [True, False])
def test_a_killed_run_is_resumed_where_it_stopped(stream: SignalStream, redis_client: Any, ran: bool) -> None:
    changes: list[Change] = [(f"S{number:04}", "bull", 0.5) for number in range(1_700)]
    killed = KilledAfter(redis_client, soft_cap=5_000, hard_cap=5_000)
    killed.ran = ran
    with pytest.raises(KilledError):
        deriver(killed, changes=changes).derive("1mo")
    assert killed.length() == (1_000 if ran else 500)
    rerun = SignalStream(redis_client, soft_cap=5_000, hard_cap=5_000)
    derived = deriver(rerun, changes=changes).derive("1mo")
    assert derived.published == 1_700 - (1_000 if ran else 500)
    published = events(rerun)
    assert [event.symbol for event in published] == [change[0] for change in changes]
    assert len({event.signal_id for event in published}) == 1_700


def test_two_runs_at_once_publish_every_signal_once(stream: SignalStream, redis_client: Any) -> None:
    changes: list[Change] = [(f"S{number:04}", "bull", 0.5) for number in range(1_600)]
    roomy = SignalStream(redis_client, soft_cap=5_000, hard_cap=5_000)

    class Interrupted(SignalStream):
        has_rival = True

        def publish_with_checkpoint(self, *args: Any, **kwargs: Any) -> Any:
            if self.has_rival:
                self.has_rival = False
                assert deriver(roomy, changes=changes[:700]).derive("1mo").published == 700
            return super().publish_with_checkpoint(*args, **kwargs)

    derived = deriver(Interrupted(redis_client, soft_cap=5_000, hard_cap=5_000), changes=changes).derive("1mo")
    assert derived.published == 900
    assert [event.symbol for event in events(roomy)] == [change[0] for change in changes]


def test_at_the_hard_cap_the_rest_waits_for_the_next_run(redis_client: Any) -> None:
    small = SignalStream(redis_client, soft_cap=10, hard_cap=600)
    changes: list[Change] = [(f"S{number:04}", "bull", 0.5) for number in range(700)]
    with pytest.raises(StreamFullError):
        deriver(small, changes=changes).derive("1mo")
    assert small.length() == 600, "what fits is published"
    roomy = SignalStream(redis_client, soft_cap=10, hard_cap=1_000)
    assert deriver(roomy, changes=changes).derive("1mo").published == 100
    assert [event.symbol for event in events(roomy)] == [change[0] for change in changes]


def test_the_same_change_always_has_the_same_id(stream: SignalStream) -> None:
    deriver(stream).derive("1mo")
    assert events(stream)[0].signal_id == "cbc0c7f9-4470-5250-ab46-a8d3c843895f"
