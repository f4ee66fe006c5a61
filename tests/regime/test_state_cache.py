import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regime import keys
from regime.conf import RegimeConf
from regime.domain.freshness import LIFE_SECONDS
from regime.domain.state import FIELDS, RegimeState
from regime.store.state_cache import PutOutcome, StateCache
from regime.store.ttl_backfill import TtlSetter
from tests.regime.states import NOW, a_state, only, plain_hset

KEY = "argus:regime:EURUSD=X"


@pytest.fixture(params=[1, 3], ids=["a state a call, as on a cluster", "three states a call"])
def states(request: pytest.FixtureRequest, redis: Any) -> StateCache:
    return StateCache(redis, RegimeConf(write_batch=request.param, write_calls_in_flight=2))


def put(states: StateCache, *written: Any, now: float | None = None) -> list[PutOutcome]:
    return [outcome for _, outcome in states.put_many(written, now)]


def test_what_is_put_is_got_with_its_expiry(states: StateCache, redis: Any, server_now: float) -> None:
    now = math.floor(server_now)
    assert put(states, a_state(computed_at=now - 3600)) == [PutOutcome.WRITTEN]
    held = states.get("EURUSD=X")
    assert held is not None
    assert held.scores == a_state().scores
    assert held.computed_at == now - 3600
    assert held.expires_at == now - 3600 + LIFE_SECONDS
    assert redis.hlen(KEY) == 1 + len(FIELDS)
    assert 0 < redis.ttl(KEY) <= LIFE_SECONDS - 3599


def test_many_come_back_in_order_with_their_outcome(states: StateCache, redis: Any, server_now: float) -> None:
    now = server_now
    written = [a_state(f"S{number}", now, number) for number in range(100)]
    outcomes = list(states.put_many(iter(written)))
    assert outcomes == [(state, PutOutcome.WRITTEN) for state in written]
    assert all((held := states.get(state.symbol)) and held.scores == state.scores for state in written)


def test_an_older_state_never_replaces_a_newer_one(states: StateCache, redis: Any, server_now: float) -> None:
    now = server_now
    put(states, a_state(computed_at=now - 10, seed=1))
    assert put(states, a_state(computed_at=now - 20, seed=2)) == [PutOutcome.NEWER_IS_THERE]
    held = states.get("EURUSD=X")
    assert held is not None
    assert held.scores == a_state(seed=1).scores


def test_a_state_that_another_writer_puts_meanwhile_is_not_replaced(
    states: StateCache, redis: Any, server_now: float
) -> None:
    def written() -> Iterator[RegimeState]:
        yield from (a_state(f"S{n}", server_now - 20, n) for n in range(4))
        plain_hset(redis, "S4", {"computed_at": server_now - 10, "bull:1mo": "0.125"})  # S3 waits for a full batch
        yield from (a_state(f"S{n}", server_now - 20, n) for n in range(4, 12))

    outcomes = {state.symbol: outcome for state, outcome in states.put_many(written())}
    assert outcomes.pop("S4") is PutOutcome.NEWER_IS_THERE
    assert set(outcomes.values()) == {PutOutcome.WRITTEN}
    assert redis.hget("argus:regime:S4", "bull:1mo") == b"0.125"
    assert all(redis.hlen(f"argus:regime:{symbol}") == 1 + len(FIELDS) for symbol in outcomes)


@pytest.mark.real_server
def test_a_newer_state_stays_when_the_server_was_demoted_on_the_way(redis: Any, server_now: float) -> None:
    states = StateCache(redis, replace(RegimeConf.load(), write_batch=1, write_calls_in_flight=1))

    def written() -> Iterator[RegimeState]:
        yield a_state("A", server_now - 20)
        redis.ping()
        redis.replicaof("127.0.0.1", "1")  # B is refused, and its connection closed
        yield a_state("B", server_now - 20)
        redis.ping()
        redis.replicaof("no", "one")
        plain_hset(redis, "B", {"computed_at": server_now - 10, "bull:1mo": "0.125"})
        yield from (a_state(symbol, server_now - 20) for symbol in ("C", "D"))

    try:
        outcomes = {state.symbol: outcome for state, outcome in states.put_many(written())}
    finally:
        redis.replicaof("no", "one")
    assert outcomes.pop("B") is PutOutcome.NEWER_IS_THERE
    assert redis.hget("argus:regime:B", "bull:1mo") == b"0.125"
    assert outcomes == dict.fromkeys("ACD", PutOutcome.WRITTEN)
    assert all(redis.hlen(f"argus:regime:{symbol}") == 1 + len(FIELDS) for symbol in "ACD")


@pytest.mark.real_server
def test_a_writer_whose_connections_are_closed_again_and_again_puts_every_state_in_order(
    states: StateCache, redis: Any, server_now: float
) -> None:
    def written() -> Iterator[RegimeState]:
        for number in range(40):
            for connection in redis.client_list() if number % 7 == 0 else ():
                if connection["name"] == "avo-regime":
                    redis.client_kill_filter(_id=connection["id"], skipme=True)
            yield a_state(f"S{number}", server_now - 20, number)

    outcomes = list(states.put_many(written()))
    assert [state.symbol for state, _ in outcomes] == [f"S{number}" for number in range(40)]
    assert {outcome for _, outcome in outcomes} == {PutOutcome.WRITTEN}
    assert all(redis.hlen(f"argus:regime:S{number}") == 1 + len(FIELDS) for number in range(40))


def test_the_newer_of_two_states_of_a_symbol_stays_in_any_order(
    states: StateCache, redis: Any, server_now: float
) -> None:
    put(states, *(a_state(computed_at=server_now - age, seed=age) for age in (3, 1, 2, 5, 4)))
    held = states.get("EURUSD=X")
    assert held is not None
    assert held.scores == a_state(seed=1).scores


def test_a_writer_that_stops_early_gives_no_connection_back_with_replies_on_their_way(
    states: StateCache, redis: Any, server_now: float
) -> None:
    puts = states.put_many(a_state(f"S{number}", server_now) for number in range(100))
    assert next(puts)[1] is PutOutcome.WRITTEN  # type: ignore[call-overload]
    puts.close()  # type: ignore[attr-defined]
    assert [redis.echo(text) for text in ("one", "two")] == [b"one", b"two"]


def test_the_same_stamp_may_be_written_again(states: StateCache, redis: Any, server_now: float) -> None:
    now = server_now
    assert put(states, a_state(computed_at=now), a_state(computed_at=now, seed=2)) == [PutOutcome.WRITTEN] * 2


def test_a_state_past_its_life_is_not_written(states: StateCache, redis: Any, server_now: float) -> None:
    assert put(states, a_state(computed_at=server_now - LIFE_SECONDS - 1)) == [PutOutcome.PAST_ITS_LIFE]
    assert states.get("EURUSD=X") is None


def test_a_stamp_slightly_in_the_future_gives_no_more_than_a_day(
    states: StateCache, redis: Any, server_now: float
) -> None:
    put(states, a_state(computed_at=server_now + 200))
    assert redis.pttl(KEY) <= LIFE_SECONDS * 1000


@pytest.mark.parametrize("stamp", ["soon", "1790000000000", "nan"])
def test_a_senseless_stamp_protects_nothing(states: StateCache, redis: Any, server_now: float, stamp: str) -> None:
    plain_hset(redis, "EURUSD=X", {"computed_at": stamp, "bull:1w": "0.1"})
    assert put(states, a_state(computed_at=server_now)) == [PutOutcome.WRITTEN]


def put_one(states: StateCache, state: RegimeState, now: float | None = None) -> PutOutcome:
    [outcome] = put(states, state, now=now)
    return outcome


def test_a_state_without_stamp_is_as_old_as_its_expiry_says(states: StateCache, redis: Any, server_now: float) -> None:
    plain_hset(redis, "EURUSD=X", {"bull:1mo": "0.9"}, LIFE_SECONDS - 3600)
    assert put_one(states, a_state(computed_at=server_now - 5 * 3600)) is PutOutcome.NEWER_IS_THERE
    assert redis.hgetall(KEY) == {b"bull:1mo": b"0.9"}
    assert put_one(states, a_state(computed_at=server_now - 1800)) is PutOutcome.WRITTEN


@pytest.mark.parametrize("life_seconds", [None, LIFE_SECONDS + 3600])
def test_a_state_of_unknown_age_or_from_the_future_gives_way(
    states: StateCache, redis: Any, server_now: float, life_seconds: float | None
) -> None:
    plain_hset(redis, "EURUSD=X", {"bull:1mo": "0.9"}, life_seconds)
    assert put_one(states, a_state(computed_at=server_now - 5 * 3600)) is PutOutcome.WRITTEN


def test_the_expiry_of_a_backfill_makes_no_state_newer(states: StateCache, redis: Any, server_now: float) -> None:
    plain_hset(redis, "EURUSD=X", {"bull:1mo": "0.9"})
    assert sum(counts.fixed for _, counts in TtlSetter(redis, False, None).batches(10)) == 1
    assert put_one(states, a_state(computed_at=server_now - 5 * 3600)) is PutOutcome.WRITTEN


moments = st.sampled_from([-LIFE_SECONDS, -7200, -3600, -1, 0, 300, 301])
stamps = st.none() | moments | st.sampled_from(["", "soon", "nan", "1e999", "0x7fffffff", "1_790_000_000", " 1"])


@given(stamp=stamps, mark=stamps, made=st.none() | moments, ours=st.integers(1 - LIFE_SECONDS, 0) | moments)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
def test_writers_take_for_newer_what_readers_do(
    states: StateCache, redis: Any, server_now: float, stamp: Any, mark: Any, made: Any, ours: int
) -> None:
    now = math.ceil(server_now) + 60
    given_stamps = {"computed_at": stamp, "backfilled_at": mark}
    fields = {name: now + one if isinstance(one, int) else one for name, one in given_stamps.items() if one is not None}
    redis.delete(KEY)
    plain_hset(redis, "EURUSD=X", {**fields, "bull:1mo": "0.9"})
    if made is not None:
        redis.pexpireat(KEY, (now + made + LIFE_SECONDS) * 1000)
    held = states.get("EURUSD=X")
    classification = held.classify(now) if held else None
    is_newer = (
        classification
        and classification.is_current
        and classification.computed_at
        and classification.computed_at > now + ours
    )
    expected = PutOutcome.NEWER_IS_THERE if is_newer else PutOutcome.WRITTEN
    assert put_one(states, a_state(computed_at=now + ours), now) is (
        PutOutcome.PAST_ITS_LIFE if ours == -LIFE_SECONDS else expected
    )


def test_until_when_the_data_reaches_goes_with_the_state(states: StateCache, redis: Any, server_now: float) -> None:
    full, some = a_state(computed_at=server_now - 20), only("EURUSD=X", server_now - 10, bull_1mo=0.5)
    for state in (full, some):
        for through in (b"2026-10-30", b"1790000000.5", b""):
            put_one(states, replace(state, data_through=through))
            held = states.get("EURUSD=X")
            assert held is not None
            assert (held.data_through, held.scores, held.bad_fields) == (through, state.scores, 0)
            assert redis.hlen(KEY) == 1 + sum(score is not None for score in state.scores) + bool(through)


def test_old_fields_do_not_stay(states: StateCache, redis: Any, server_now: float) -> None:
    plain_hset(redis, "EURUSD=X", {"backfilled_at": "1", "bear:2y": "0.3", "note": "x"})
    put(states, only("EURUSD=X", server_now, bull_1mo=0.5))
    assert redis.hkeys(KEY) == [b"computed_at", b"bull:1mo"]


def test_a_key_of_another_type_is_no_state_and_is_replaced(states: StateCache, redis: Any, server_now: float) -> None:
    redis.set(KEY, "oops")
    assert states.get("EURUSD=X") is None
    assert put(states, a_state(computed_at=server_now)) == [PutOutcome.WRITTEN]


def test_a_server_that_lost_the_script_gets_it_again(states: StateCache, redis: Any, server_now: float) -> None:
    def written() -> Any:
        yield a_state("A", now)
        redis.script_flush()
        yield from (a_state(f"B{number}", now) for number in range(20))

    now = server_now
    assert [outcome for _, outcome in states.put_many(written())] == [PutOutcome.WRITTEN] * 21


def test_no_fields_of_another_program_or_of_a_refused_state_get_into_a_state(
    states: StateCache, redis: Any, server_now: float
) -> None:
    for number in range(3):
        redis.hset(keys.staged(number), "bull:1w", "0.9")
    ages = {"A": 20, "B": 10, "OLD": LIFE_SECONDS + 1, "C": 20}
    put(states, only("B", server_now, bear_1w=0.25))
    outcomes = put(states, *(only(symbol, server_now - age, bull_1mo=0.5) for symbol, age in ages.items()))
    assert [outcome.name for outcome in outcomes] == ["WRITTEN", "NEWER_IS_THERE", "PAST_ITS_LIFE", "WRITTEN"]
    fields = {symbol: redis.hkeys(f"argus:regime:{symbol}") for symbol in ages}
    assert fields.pop("OLD") == []
    assert fields.pop("B") == [b"computed_at", b"bear:1w"]
    assert set(map(tuple, fields.values())) == {(b"computed_at", b"bull:1mo")}


def test_nothing_stays_staged(states: StateCache, redis: Any, server_now: float) -> None:
    def without_script() -> Iterator[RegimeState]:
        yield from (a_state("S", server_now - age) for age in (5, 4))
        redis.script_flush()
        yield a_state("S", server_now - 3)

    put(states, *(a_state("S", server_now - age) for age in (6, 7, LIFE_SECONDS + 1, 8, 5)))
    assert redis.keys() == [b"argus:regime:S"]
    assert [outcome for _, outcome in states.put_many(without_script())] == [PutOutcome.WRITTEN] * 3
    assert redis.keys() == [b"argus:regime:S"]


def test_the_time_may_be_given(states: StateCache, redis: Any) -> None:
    assert put(states, a_state(computed_at=NOW), now=NOW + LIFE_SECONDS) == [PutOutcome.PAST_ITS_LIFE]


def test_an_unknown_symbol_is_none(states: StateCache) -> None:
    assert states.get("NOBODY") is None


def test_a_plain_hset_is_seen_at_once_and_of_unknown_age(states: StateCache, redis: Any, server_now: float) -> None:
    plain_hset(redis, "EURUSD=X", {"bull:1mo": "0.5"})
    held = states.get("EURUSD=X")
    assert held is not None
    assert held.expires_at is None
    assert not held.classify(server_now).is_current


junk = st.sampled_from(["", "x", "nan", "-1", "0.5", "1", "2", "1e3"])


@given(
    fields=st.dictionaries(st.sampled_from([*FIELDS, "note"]), junk, max_size=6),
    stamp=st.none() | st.sampled_from(["soon", "nan"]) | st.integers(-3 * LIFE_SECONDS, LIFE_SECONDS),
    ttl_seconds=st.none() | st.integers(1, 3 * LIFE_SECONDS),
    backfilled=st.booleans(),
    step_seconds=st.integers(-LIFE_SECONDS, LIFE_SECONDS),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_no_mix_of_stamps_and_expiries_passes_for_current_after_a_day(
    states: StateCache,
    redis: Any,
    server_now: float,
    fields: dict[str, str],
    stamp: Any,
    ttl_seconds: int | None,
    backfilled: bool,
    step_seconds: int,
) -> None:
    redis.delete(KEY)
    written_at = server_now
    mapping: dict[str, object] = {**fields, "note": "x"}
    if stamp is not None:
        mapping["computed_at"] = stamp if isinstance(stamp, str) else written_at + stamp
    if backfilled:
        mapping["backfilled_at"] = written_at
    plain_hset(redis, "EURUSD=X", mapping, ttl_seconds)
    held = states.get("EURUSD=X")
    assert held is not None
    now = written_at + step_seconds
    classification = held.classify(now)
    if isinstance(stamp, str) or (stamp is None and ttl_seconds is None):
        assert not classification.is_current
    elif stamp is not None:
        assert classification.is_current == (-300 <= step_seconds - stamp < LIFE_SECONDS)
