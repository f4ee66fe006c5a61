import json
import threading
from typing import Any

import pytest
from redis.exceptions import ResponseError

from avo_project.runtime.stop_flag import StopFlag
from regime.conf import RegimeConf
from regime.domain.freshness import LIFE_SECONDS
from regime.domain.state import BadLineError, StateLines, state_of_line
from regime.domain.universe import DatedUniverse
from regime.services.cycle import Cycle
from regime.services.refresher import CollectionBuild, Refresher
from regime.services.transitions import Transitions
from regime.store.collection_store import CollectionStore
from regime.store.state_cache import PutOutcome, StateCache
from tests.regime.conftest import build_of
from tests.regime.states import NOW, a_state, only, plain_hset


def symbols(store: CollectionStore) -> list[str]:
    held = store.load(store.valid().version)
    return [] if held is None else [symbol.decode() for symbol in held.columns.symbols]


@pytest.fixture
def transitions(store: CollectionStore, build: CollectionBuild, server_now: float) -> Transitions:
    return Transitions(store, build, lambda: server_now)


def test_the_end_of_a_cycle_publishes_what_it_wrote(cycle: Cycle, store: CollectionStore, server_now: float) -> None:
    report = cycle.write([a_state("B", server_now), a_state("A", server_now)])
    pointer = store.pointer()
    assert (report.written, report.cycle_id) == (2, pointer.cycle_id)
    assert symbols(store) == ["A", "B"]
    assert (pointer.cycle, pointer.cycle_states, pointer.symbols) == (1, 2, 2)
    assert pointer.cycle_ended_at == pointer.built_at == server_now


def test_a_cycle_of_some_symbols_keeps_the_others(cycle: Cycle, store: CollectionStore, server_now: float) -> None:
    cycle.write([a_state("A", server_now), a_state("B", server_now)])
    cycle.write([a_state("B", server_now), a_state("C", server_now)])
    assert symbols(store) == ["A", "B", "C"]
    assert store.pointer().cycle == 2


def test_what_others_wrote_before_the_first_cycle_is_in_it(
    cycle: Cycle, store: CollectionStore, redis: Any, server_now: float
) -> None:
    plain_hset(redis, "FOREIGN", {"computed_at": server_now, "bull:1mo": "0.5"})
    plain_hset(redis, "NOSTAMP", {"bull:1mo": "0.5"})
    cycle.write([a_state("A", server_now)])
    assert symbols(store) == ["A", "FOREIGN"]


def test_a_state_that_lost_to_a_newer_one_is_not_published(
    cycle: Cycle, store: CollectionStore, states: StateCache, server_now: float
) -> None:
    cycle.write([a_state("A", server_now, seed=1)])
    report = cycle.write([a_state("A", server_now - 60, seed=2), a_state("B", server_now - LIFE_SECONDS - 1)])
    assert report.outcomes == {
        PutOutcome.WRITTEN: 0,
        PutOutcome.NEWER_IS_THERE: 1,
        PutOutcome.PAST_ITS_LIFE: 1,
    }
    assert report.cycle_id is None
    assert store.pointer().cycle == 1


def test_states_that_expired_leave_the_collection(
    states: StateCache, store: CollectionStore, build: CollectionBuild, server_now: float
) -> None:
    Cycle(states, store, build, lambda: server_now).write([a_state("OLD", server_now - LIFE_SECONDS + 60)])
    Cycle(states, store, build, lambda: server_now + 120).write([a_state("NEW", server_now)])
    assert symbols(store) == ["NEW"]


def test_a_deleted_state_is_listed_until_a_refresh_and_never_past_its_own_age(
    cycle: Cycle, store: CollectionStore, build: CollectionBuild, redis: Any, server_now: float
) -> None:
    cycle.write([a_state("GONE", server_now - 60), a_state("B", server_now)])
    redis.delete("argus:regime:GONE")
    cycle.write([a_state("C", server_now)])
    assert symbols(store) == ["B", "C", "GONE"]
    held = store.load(store.valid().version)
    assert held is not None
    listed = DatedUniverse(held.columns)
    assert len(listed.at(server_now - 60 + LIFE_SECONDS - 1)[1]) == 3
    assert len(listed.at(server_now - 60 + LIFE_SECONDS)[1]) == 2
    Refresher(store, build, RegimeConf(), lambda: server_now).step()
    assert symbols(store) == ["B", "C"]


def test_two_cycles_that_end_at_once_lose_nothing(redis: Any, server_now: float) -> None:
    conf = RegimeConf()

    def write(symbol: str) -> None:
        states = StateCache(redis, conf)
        Cycle(states, CollectionStore(redis, conf), build_of(redis, states), lambda: server_now).write(
            [a_state(symbol, server_now)]
        )

    threads = [threading.Thread(target=write, args=(f"S{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = CollectionStore(redis, conf)
    assert symbols(store) == [f"S{n}" for n in range(6)]
    assert store.pointer().cycle == 6


def test_a_replaced_collection_stays_for_its_cursors_and_then_goes(
    cycle: Cycle, store: CollectionStore, redis: Any, server_now: float
) -> None:
    cycle.write([a_state("A", server_now)])
    first = store.pointer()
    cycle.write([a_state("B", server_now)])
    assert 0 < redis.ttl(f"avo:{{regime}}:collection:{first.collection}") <= RegimeConf().replaced_version_seconds
    assert redis.exists(f"avo:{{regime}}:ledger:{first.ledger}") == 0
    assert all(redis.ttl(key) > 0 for key in redis.scan_iter("avo:{regime}:collection:*"))


def test_a_build_that_a_cycle_overtook_is_dropped(
    cycle: Cycle, store: CollectionStore, build: CollectionBuild, redis: Any, server_now: float
) -> None:
    made_from = store.pointer()
    columns, _ = build.build(server_now)
    cycle.write([a_state("A", server_now)])
    assert store.publish(columns, made_from, server_now) is None
    assert symbols(store) == ["A"]
    assert len(list(redis.scan_iter("avo:{regime}:collection:*"))) == 1


def test_a_refresh_finds_foreign_states_and_counts_the_rest(
    store: CollectionStore, build: CollectionBuild, redis: Any, server_now: float
) -> None:
    plain_hset(redis, "FULL", dict(zip(("computed_at", "bull:1mo"), (server_now, "0.5"), strict=True)))
    plain_hset(redis, "YOUNG", {"bull:1mo": "0.5"}, ttl_seconds=LIFE_SECONDS - 100)
    plain_hset(redis, "IMMORTAL", {"bull:1mo": "0.5"})
    plain_hset(redis, "OLD", {"computed_at": server_now - LIFE_SECONDS, "bull:1mo": "0.5"})
    plain_hset(redis, "AHEAD", {"computed_at": server_now + 301, "bull:1mo": "0.5"})
    plain_hset(redis, "ODD", {"computed_at": server_now, "bull:1mo": "x", "calm:1mo": "0.25"})
    plain_hset(redis, "not a symbol", {"computed_at": server_now, "bull:1mo": "0.5"})
    redis.set("argus:regime:STRING", "x")
    report = Refresher(store, build, RegimeConf(), lambda: server_now).step()
    assert symbols(store) == ["FULL", "ODD", "YOUNG"]
    assert report.published
    assert report.summary().startswith("current=3 expired=1 unknown_age=1 future_stamp=1 published=yes")
    assert (report.scan_counts.bad_fields, report.scan_counts.misnamed) == (1, 1)


def test_a_build_of_many_reads_every_state_once(states: StateCache, build: CollectionBuild, server_now: float) -> None:
    written = [a_state(f"S{n:04}", server_now - n % 7, n) for n in range(2_500)]
    list(states.put_many(written))
    columns, _ = build.build(server_now)
    assert [symbol.decode() for symbol in columns.symbols] == [state.symbol for state in written]
    assert columns.stamps.tolist() == [state.computed_at for state in written]
    assert (columns.scores / 60_000).round(5).T.tolist() == [list(state.scores) for state in written]


def test_a_refresh_that_finds_nothing_new_keeps_the_version(
    cycle: Cycle, store: CollectionStore, build: CollectionBuild, server_now: float
) -> None:
    cycle.write([a_state("A", server_now)])
    before = store.pointer()
    assert Refresher(store, build, RegimeConf(), lambda: server_now + 60).step().published
    after = store.pointer()
    assert (after.collection, after.built_at) == (before.collection, server_now + 60)
    assert symbols(store) == ["A"]


def test_a_refresh_warns_when_our_writers_fell_silent(
    cycle: Cycle, store: CollectionStore, build: CollectionBuild, server_now: float, caplog: pytest.LogCaptureFixture
) -> None:
    refreshed_at = server_now
    refresher = Refresher(store, build, RegimeConf(), lambda: refreshed_at)
    refresher.step()
    cycle.write([a_state("A", server_now)])
    refresher.step()
    assert not caplog.messages
    refreshed_at += 13 * 3600
    refresher.step()
    assert "no cycle has ended for 13.0 h" in caplog.text


def test_a_redis_that_refuses_is_waited_for(
    store: CollectionStore, build: CollectionBuild, server_now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, reports = StopFlag(), []
    refresher = Refresher(store, build, RegimeConf(), lambda: server_now)
    steps = iter([_refused, refresher.step])
    monkeypatch.setattr(refresher, "step", lambda: next(steps)())

    def report(done: Any) -> None:
        reports.append(done)
        stop.set()

    refresher.run(stop, 0.0, report)
    assert [done.published for done in reports] == [True]


def _refused() -> None:
    raise ResponseError("NOREPLICAS Not enough good replicas to write.")


# Transitions


def test_every_symbol_of_the_first_cycle_changed(cycle: Cycle, transitions: Transitions, server_now: float) -> None:
    report = cycle.write([only("A", server_now, bull_1mo=0.8), only("B", server_now, calm_1w=0.9)])
    assert transitions.changes("1mo") == (report.cycle_id, [("A", "bull", 0.8)])
    assert transitions.changes("1w") == (report.cycle_id, [("B", "calm", 0.9)])


def test_only_what_differs_from_the_cycle_before_changed(
    cycle: Cycle, transitions: Transitions, server_now: float
) -> None:
    cycle.write([only("A", server_now, bull_1mo=0.8), only("B", server_now, bear_1mo=0.7)])
    transitions.changes("1mo")
    second = cycle.write([only("A", server_now, bull_1mo=0.9), only("B", server_now, bull_1mo=0.6)])
    assert transitions.changes("1mo") == (second.cycle_id, [("B", "bull", 0.6)])
    assert transitions.changes("1mo") == (second.cycle_id, [("B", "bull", 0.6)])


def test_a_change_is_told_once_even_when_later_cycles_leave_the_symbol_out(
    cycle: Cycle, transitions: Transitions, server_now: float
) -> None:
    cycle.write([only("A", server_now, bull_1mo=0.8), only("B", server_now, bear_1mo=0.7)])
    transitions.changes("1mo")
    third = cycle.write([only("A", server_now, bear_1mo=0.8)])
    assert transitions.changes("1mo") == (third.cycle_id, [("A", "bear", 0.8)])
    fourth = cycle.write([only("C", server_now, bear_1mo=0.8)])
    assert transitions.changes("1mo") == (fourth.cycle_id, [("C", "bear", 0.8)])


def test_nothing_is_lost_when_cycles_of_other_symbols_come_between(
    cycle: Cycle, transitions: Transitions, server_now: float
) -> None:
    cycle.write([only("A", server_now, bull_1mo=0.8)])
    last = cycle.write([only("B", server_now, bull_1mo=0.8)])
    assert transitions.changes("1mo") == (last.cycle_id, [("A", "bull", 0.8), ("B", "bull", 0.8)])


def test_what_went_and_came_back_between_two_questions_is_compared_with_the_cycle_before(
    cycle: Cycle, transitions: Transitions, server_now: float
) -> None:
    for regime in ("bull_1mo", "bear_1mo", "bull_1mo"):
        last = cycle.write([only("A", server_now, **{regime: 0.8})])
    assert transitions.changes("1mo") == (last.cycle_id, [("A", "bull", 0.8)])


def test_a_state_that_is_not_current_any_more_changes_nothing(
    cycle: Cycle, store: CollectionStore, build: CollectionBuild, server_now: float
) -> None:
    cycle.write([only("A", server_now, bull_1mo=0.8)])
    later = Transitions(store, build, lambda: server_now + LIFE_SECONDS)
    assert later.changes("1mo") == (store.pointer().cycle_id, [])


def test_a_lost_collection_is_read_from_the_states(
    cycle: Cycle, store: CollectionStore, transitions: Transitions, redis: Any, server_now: float
) -> None:
    report = cycle.write([only("A", server_now, bull_1mo=0.8)])
    redis.delete(f"avo:{{regime}}:collection:{store.pointer().collection}")
    assert transitions.changes("1mo") == (report.cycle_id, [("A", "bull", 0.8)])


def test_after_the_dominance_log_was_lost_all_is_new_again(
    cycle: Cycle, transitions: Transitions, redis: Any, server_now: float
) -> None:
    for _ in range(3):
        cycle.write([only("A", server_now, bull_1mo=0.8)])
    transitions.changes("1mo")
    redis.delete("avo:{regime}:pointer")
    report = cycle.write([only("A", server_now, bull_1mo=0.8)])
    assert transitions.changes("1mo") == (report.cycle_id, [("A", "bull", 0.8)])


def test_without_a_cycle_nothing_changed(transitions: Transitions) -> None:
    assert transitions.changes("1mo") == ("", [])


def test_an_unknown_timeframe_is_refused(transitions: Transitions) -> None:
    with pytest.raises(ValueError, match="1mo"):
        transitions.changes("4mo")


# Lines


def line(**fields: object) -> bytes:
    return json.dumps({"symbol": "aapl", "computed_at": NOW, "scores": {"1mo": {"bull": 0.5}}} | fields).encode()


def test_a_line_is_a_state() -> None:
    state = state_of_line(line(scores={"1mo": {"bull": 0.5, "bear": None}, "2y": {"calm": 1}}), NOW)
    assert state == only("AAPL", NOW, bull_1mo=0.5, calm_2y=1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (line(symbol=None), "symbol"),
        (line(symbol="A B"), "symbol"),
        (line(computed_at="x"), "computed_at"),
        (line(computed_at=True), "computed_at"),
        (line(computed_at=NOW * 1000), "future"),
        (line(computed_at=-1), "computed_at"),
        (line(scores=None), "scores"),
        (line(scores={"1mo": 1}), "scores"),
        (line(scores={}), "no score"),
        (line(scores={"4mo": {"bull": 0.5}}), "unknown timeframe '4mo'"),
        (line(scores={"1mo": {"bullish": 0.5}}), "unknown regime 'bullish'"),
        (line(scores={"1mo": {"bull": 1.5}}), "0..1"),
        (line(scores={"1mo": {"bull": "0.5"}}), "0..1|not supported"),
        (line(scores={"1mo": {"bull": True}}), "0..1"),
    ],
)
def test_a_bad_line_says_why(text: bytes, why: str) -> None:
    with pytest.raises(BadLineError, match=why):
        state_of_line(text, NOW)


def test_bad_lines_are_told_by_number_and_skipped() -> None:
    bad_lines: list[int] = []
    lines = StateLines(
        [line(), b"oops\n", b"\n", line(symbol="B")], lambda: NOW, lambda number, why: bad_lines.append(number)
    )
    assert [state.symbol for state in lines] == ["AAPL", "B"]
    assert (bad_lines, lines.bad) == ([2], 1)
