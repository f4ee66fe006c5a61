"""One table of stamps: readers in Python and scripts on the server take each for the same number or for none."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from regime.domain.freshness import FUTURE_TOLERANCE_SECONDS, LIFE_SECONDS, Freshness
from regime.domain.state import FIELDS, RawStates, decode_in_bulk, decode_stamp
from regime.domain.state_check import HeldKey, findings
from regime.store.state_cache import PutOutcome, StateCache
from regime.store.ttl_backfill import Counts, TtlSetter
from tests.regime.states import a_state, plain_hset

NOW = 4_000_000_000
HOUR = 3_600
CASES = json.loads((Path(__file__).parent / "data" / "stamps.json").read_text())["cases"]
KEY = "argus:regime:X"

each_stamp = pytest.mark.parametrize(("text", "seconds"), CASES)


def passed(redis: Any, assumed_age_seconds: float | None = None) -> Counts:
    setter = TtlSetter(redis, dry_run=False, assumed_age_seconds=assumed_age_seconds, now=NOW)
    return sum((counts for _, counts in setter.batches(10)), Counts())


@each_stamp
def test_readers_take_it_for(text: str, seconds: float | None) -> None:
    stamp = decode_stamp(text.encode())
    assert stamp is not None
    assert stamp == seconds or (seconds is None and math.isnan(stamp))
    flat = [b"computed_at", text.encode(), *(part for name in FIELDS for part in (name.encode(), b"0.5"))]
    decoded = decode_in_bulk(RawStates([b"X"], [flat]))
    assert decoded.irregular == [b"X"] or decoded.stamps.tolist() == [seconds]
    found = findings(HeldKey(b"X", "hash", 1, {b"computed_at": text.encode()}, None), NOW)
    assert any("not Unix seconds" in one.text for one in found) is (seconds is None)


@each_stamp
def test_writers_take_it_for(redis: Any, states: StateCache, text: str, seconds: float | None) -> None:
    is_newer = seconds is not None and NOW - HOUR < seconds <= NOW + FUTURE_TOLERANCE_SECONDS
    wanted = PutOutcome.NEWER_IS_THERE if is_newer else PutOutcome.WRITTEN
    written = a_state("X", NOW - HOUR)
    plain_hset(redis, "X", {"computed_at": text})
    assert list(states.put_many([written], NOW)) == [(written, wanted)]


@each_stamp
@pytest.mark.parametrize("assumed_age_seconds", [None, 2 * HOUR])
def test_the_backfill_takes_it_for(
    redis: Any, states: StateCache, text: str, seconds: float | None, assumed_age_seconds: float | None
) -> None:
    plain_hset(redis, "X", {"computed_at": text, "bull:1mo": "0.5"})
    ends = NOW + LIFE_SECONDS if seconds is None else min(seconds, NOW) + LIFE_SECONDS
    if ends <= NOW:
        assert passed(redis, assumed_age_seconds) == Counts(without_ttl=1, expired=1)
        assert not redis.exists(KEY)
        return
    assert passed(redis, assumed_age_seconds) == Counts(without_ttl=1, fixed=1)
    assert redis.pexpiretime(KEY) == ends * 1000
    assert redis.hget(KEY, "backfilled_at") == (b"%.3f" % NOW if seconds is None else None)
    held = states.get("X")
    assert held is not None
    assert (held.classify(NOW).freshness is Freshness.UNKNOWN_AGE) is (seconds is None)


@each_stamp
def test_the_mark_of_a_backfill_is_taken_for(redis: Any, states: StateCache, text: str, seconds: float | None) -> None:
    """Unreadable, it stands for every expiry: only an age that the operator gives makes that state known."""
    made = NOW - 1000
    plain_hset(redis, "X", {"backfilled_at": text, "bull:1mo": "0.5"})
    redis.expireat(KEY, made + LIFE_SECONDS)
    held = states.get("X")
    assert held is not None
    is_unknown = seconds is None or seconds == made
    assert (held.classify(NOW).freshness is Freshness.UNKNOWN_AGE) is is_unknown
    assert passed(redis, 2 * HOUR) == (Counts(fixed=1) if is_unknown else Counts(already_ok=1))
    assert redis.expiretime(KEY) == (NOW - 2 * HOUR if is_unknown else made) + LIFE_SECONDS
    plain_hset(redis, "X", {"backfilled_at": text})
    redis.expireat(KEY, made + LIFE_SECONDS)
    wanted = PutOutcome.WRITTEN if is_unknown else PutOutcome.NEWER_IS_THERE
    written = a_state("X", NOW - HOUR)
    assert list(states.put_many([written], NOW)) == [(written, wanted)]


def test_an_expiry_set_soon_after_a_backfill_tells_the_age(redis: Any) -> None:
    plain_hset(redis, "X", {"bull:1mo": "0.5"})
    passed(redis)
    redis.pexpireat(KEY, 1000 * (NOW + LIFE_SECONDS) - 500)
    assert passed(redis, 2 * HOUR) == Counts(already_ok=1)


def test_no_age_is_assumed_for_a_state_whose_stamp_cannot_be_read(redis: Any) -> None:
    plain_hset(redis, "X", {"computed_at": "soon", "bull:1mo": "0.5"})
    assert passed(redis, 2 * HOUR) == Counts(without_ttl=1, fixed=1)
    assert passed(redis, 2 * HOUR) == Counts(already_ok=1)
