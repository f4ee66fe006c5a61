import threading
from typing import Any

import pytest

from avo_project.runtime.stop_flag import StopFlag
from regime.conf import RegimeConf
from regime.domain.freshness import LIFE_SECONDS, Freshness
from regime.services.ttl_backfill import BackfillReport, Pace, TtlBackfill
from regime.store.state_cache import StateCache
from regime.store.ttl_backfill import BackfillLog, Counts, TtlSetter
from tests.regime.states import a_state, plain_hset

HOUR = 3600


def backfill(
    redis: Any, dry_run: bool = False, assume_age: float | None = None, pace: Pace | None = None
) -> BackfillReport:
    setter = TtlSetter(redis, dry_run, assume_age)
    return TtlBackfill(setter, BackfillLog(redis), pace or Pace(10), lambda: 0.0, lambda: 0.0).run(StopFlag())


def freshness(states: StateCache, symbol: str, now: float) -> Freshness | None:
    state = states.get(symbol)
    return None if state is None else state.classify(now).freshness


@pytest.fixture
def mixed(redis: Any, server_now: float) -> None:
    """One state of each kind that a careless writer can leave."""
    plain_hset(redis, "YOUNG", {"computed_at": server_now - HOUR, "bull:1mo": "0.5"})
    plain_hset(redis, "OLD", {"computed_at": server_now - 25 * HOUR, "bull:1mo": "0.5"})
    plain_hset(redis, "NOSTAMP", {"bull:1mo": "0.5"})
    plain_hset(redis, "JUNK", {"computed_at": "soon", "bull:1mo": "0.5"})
    plain_hset(redis, "AHEAD", {"computed_at": server_now + 10 * HOUR, "bull:1mo": "0.5"})
    plain_hset(redis, "FINE", {"computed_at": server_now - HOUR, "bull:1mo": "0.5"}, ttl_seconds=60)
    plain_hset(redis, "LONG", {"computed_at": server_now - HOUR, "bull:1mo": "0.5"}, ttl_seconds=48 * HOUR)
    plain_hset(redis, "LONGOLD", {"computed_at": server_now - 25 * HOUR, "bull:1mo": "0.5"}, ttl_seconds=48 * HOUR)
    redis.set("argus:regime:STRING", "x")
    redis.set("other:key", "x")


@pytest.mark.usefixtures("mixed")
def test_every_state_gets_its_remaining_life(redis: Any, states: StateCache, server_now: float) -> None:
    report = backfill(redis)
    assert report.scanned == 9
    assert report.counts == Counts(without_ttl=6, fixed=5, expired=2, capped=1, already_ok=1)
    assert redis.ttl("argus:regime:YOUNG") == pytest.approx(23 * HOUR, abs=5)
    assert redis.ttl("argus:regime:LONG") == pytest.approx(23 * HOUR, abs=5)
    assert redis.ttl("argus:regime:AHEAD") == pytest.approx(LIFE_SECONDS, abs=5)
    assert redis.ttl("argus:regime:FINE") <= 60
    assert redis.exists("argus:regime:OLD", "argus:regime:LONGOLD") == 0
    assert redis.ttl("other:key") == -1
    assert all(1 <= redis.ttl(key) <= LIFE_SECONDS for key in redis.scan_iter("argus:regime:*"))


@pytest.mark.usefixtures("mixed")
def test_a_backfill_makes_nothing_look_young(redis: Any, states: StateCache, server_now: float) -> None:
    backfill(redis)
    assert freshness(states, "YOUNG", server_now) is Freshness.CURRENT
    assert freshness(states, "NOSTAMP", server_now) is Freshness.UNKNOWN_AGE
    assert freshness(states, "JUNK", server_now) is Freshness.UNKNOWN_AGE
    assert freshness(states, "AHEAD", server_now) is Freshness.FUTURE_STAMP
    held = states.get("NOSTAMP")
    assert held is not None
    assert held.backfilled_at == pytest.approx(server_now, abs=60)


@pytest.mark.usefixtures("mixed")
def test_a_second_pass_finds_nothing_to_do(redis: Any) -> None:
    backfill(redis)
    assert backfill(redis).counts == Counts(already_ok=7)


@pytest.mark.usefixtures("mixed")
def test_a_dry_run_tells_the_same_and_changes_nothing(redis: Any) -> None:
    before = {key: (redis.ttl(key), redis.dump(key)) for key in redis.scan_iter("argus:regime:*")}
    dry = backfill(redis, dry_run=True)
    assert {key: (redis.ttl(key), redis.dump(key)) for key in redis.scan_iter("argus:regime:*")} == before
    assert dry.counts == backfill(redis).counts


def test_a_writer_makes_a_backfilled_state_young_again(redis: Any, states: StateCache, server_now: float) -> None:
    plain_hset(redis, "X", {"bull:1mo": "0.5"})
    backfill(redis)
    plain_hset(redis, "X", {"bull:1mo": "0.7"})
    assert freshness(states, "X", server_now) is Freshness.UNKNOWN_AGE
    redis.expire("argus:regime:X", 23 * HOUR)
    assert freshness(states, "X", server_now) is Freshness.CURRENT
    list(states.put_many([a_state("X", server_now)]))
    assert redis.hget("argus:regime:X", "backfilled_at") is None


def test_an_operator_may_vouch_for_an_age(redis: Any, states: StateCache, server_now: float) -> None:
    plain_hset(redis, "X", {"bull:1mo": "0.5"})
    assert backfill(redis, assume_age=2 * HOUR).counts == Counts(without_ttl=1, fixed=1)
    held = states.get("X")
    assert held is not None
    assert held.classify(server_now).age_seconds == pytest.approx(2 * HOUR, abs=5)


def test_an_operator_may_vouch_after_an_earlier_pass(redis: Any, states: StateCache, server_now: float) -> None:
    plain_hset(redis, "X", {"bull:1mo": "0.5"})
    plain_hset(redis, "STAMPED", {"computed_at": server_now - HOUR})
    backfill(redis)
    assert backfill(redis, assume_age=2 * HOUR).counts == Counts(fixed=1, already_ok=1)
    assert freshness(states, "X", server_now) is Freshness.CURRENT
    assert backfill(redis, assume_age=3 * HOUR).counts == Counts(already_ok=2)


def test_many_keys_go_through_in_steps(redis: Any, server_now: float) -> None:
    pipeline = redis.pipeline(transaction=False)
    for number in range(700):
        pipeline.hset(f"argus:regime:S{number}", mapping={"computed_at": int(server_now), "bull:1w": "0.5"})
    pipeline.execute()
    heard: list[int] = []
    setter = TtlSetter(redis, dry_run=False, assumed_age_seconds=None)
    run = TtlBackfill(setter, BackfillLog(redis), Pace(50), lambda: 0.0, lambda: 0.0)
    report = run.run(StopFlag(), heard.append)
    assert report.scanned == sum(heard) == 700
    assert report.counts.fixed == 700
    assert len(heard) > 5


def test_it_stops_when_told_and_goes_on_when_run_again(redis: Any, server_now: float) -> None:
    for number in range(300):
        redis.hset(f"argus:regime:S{number}", "computed_at", int(server_now))
    stop = StopFlag()
    setter = TtlSetter(redis, dry_run=False, assumed_age_seconds=None)
    log = BackfillLog(redis)
    first = TtlBackfill(setter, log, Pace(20), lambda: 0.0, lambda: 0.0).run(stop, lambda count: stop.set())
    assert 0 < first.counts.fixed < 300
    note = log.last()
    assert note is not None
    assert note.state == "stopped"
    assert backfill(redis).counts.fixed == 300 - first.counts.fixed


def test_the_log_tells_a_running_one_from_a_killed_one(redis: Any) -> None:
    log = BackfillLog(redis)
    assert log.last() is None
    log.note("running", 1000.0, True, {"scanned": 5})
    note = log.last()
    assert note is not None
    assert note.is_running(1010.0)
    assert not note.is_running(1020.0)
    assert (note.is_dry_run, dict(note.figures)) == (True, {"scanned": "5"})


@pytest.mark.real_server
def test_a_writer_beside_it_keeps_its_state(redis: Any, states: StateCache, server_now: float) -> None:
    for number in range(500):
        redis.hset(f"argus:regime:S{number}", "computed_at", int(server_now) - 25 * HOUR)
    written = [a_state(f"S{number}", int(server_now)) for number in range(500)]
    writer = threading.Thread(target=lambda: list(states.put_many(written)))
    writer.start()
    backfill(redis)
    writer.join()
    assert all(redis.ttl(f"argus:regime:S{number}") > 23 * HOUR for number in range(500))


@pytest.mark.parametrize(("batch", "rate"), [(0, None), (10_001, None), (None, 0)])
def test_a_pace_that_is_none_is_refused(batch: int | None, rate: int | None) -> None:
    with pytest.raises(ValueError, match="--batch" if rate is None else "--max-per-second"):
        Pace.of(batch, rate, RegimeConf())


def test_the_polite_pace_pauses_and_the_fast_one_does_not() -> None:
    conf = RegimeConf()
    assert Pace.of(None, None, conf).wait_seconds(25, 0.01) == conf.backfill_pause_seconds
    assert Pace.of(1000, None, conf).wait_seconds(1000, 0.01) == 0
    assert Pace.of(1000, 500, conf).wait_seconds(1000, 0.5) == pytest.approx(1.5)


@pytest.mark.parametrize("age", [-1.0, 86_400.0])
def test_an_age_that_no_state_can_have_is_refused(age: float, redis_of: Any) -> None:
    with pytest.raises(ValueError, match="--assume-age"):
        TtlBackfill.connect(Pace(1), dry_run=True, assumed_age_seconds=age)
