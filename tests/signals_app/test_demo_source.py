import itertools
from datetime import date

from avo_project.runtime.stop_flag import StopFlag
from signals_app.services.derivation import DemoSource
from signals_app.services.publisher import Publisher
from signals_app.store.stream import SignalStream
from tests.doubles import FixedClock
from tests.signals_app.conftest import no_pause

CHANGE = ("EURUSD=X", "bear", 0.75)


def source_of(stream: SignalStream, clock: FixedClock, per_minute: float = 4) -> DemoSource:
    return DemoSource(
        Publisher(stream, soft_cap=1_000, pause=no_pause),
        itertools.repeat((date(2026, 10, 30), CHANGE)),
        timeframe="1mo",
        per_minute=per_minute,
        clock=clock,
        spread=lambda: 1.5,
    )


def test_each_step_publishes_one_signal_of_its_own(stream: SignalStream) -> None:
    clock = FixedClock(1_790_000_000.0)
    source = source_of(stream, clock)
    assert source.step() == 60 / 4 * 1.5
    clock.advance(15)
    source.step()
    newest, first = (entry.fields for entry in stream.newest_first(before=None, count=10))
    assert (first[b"symbol"], first[b"direction"], first[b"confidence"]) == (b"EURUSD=X", b"short", b"0.75")
    assert first[b"published_at"] == b"1790000000000"
    assert first[b"cycle"] == b"demo of 2026-10-30 at 1790000000000"
    assert newest[b"signal_id"] != first[b"signal_id"], "the same change a second time is another signal"


def test_it_publishes_nothing_once_it_is_asked_to_stop(stream: SignalStream) -> None:
    stop = StopFlag()
    stop.set()
    source_of(stream, FixedClock()).run(stop)
    assert stream.length() == 0
