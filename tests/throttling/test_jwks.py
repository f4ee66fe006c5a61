"""The key store in simulated time, and against a real server."""

import itertools
import json
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.avo_project.slow_server import HEAD, PIECES, slow_server
from tests.doubles import DownRedis, FixedClock
from tests.throttling.clerk import KEY, OTHER_KEY, SigningKey, jwks_server
from throttling.domain.key_set import KeySetError, load_key_set, parse_jwks
from throttling.services import jwks
from throttling.services.jwks import JWKSClient, KeysUnavailableError, StaticKey
from throttling.store.jwks_cache import JWKSCache

ENTRIES = json.loads((Path(__file__).parent / "data" / "jwks_entries.json").read_text())
ODD = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from(["RSA", "AQAB", "sig", "AA"])
MEMBERS = st.sampled_from(["kty", "n", "e", "kid", "use", "alg", "key_ops", "x5c"])
URL = "https://clerk.avo.test/.well-known/jwks.json"


class Address:
    """What the JWKS address answers, and how often it was asked."""

    def __init__(self, *keys: SigningKey) -> None:
        self.keys, self.fetches, self.is_down = list(keys), 0, False

    def __call__(self, url: str) -> str:
        self.fetches += 1
        if self.is_down:
            raise httpx.ConnectError("down")
        return document(*self.keys)


def document(*keys: SigningKey) -> str:
    return json.dumps({"keys": [key.jwk for key in keys]})


@pytest.fixture
def redis(redis_of: Any) -> DownRedis:
    return DownRedis(redis_of("throttling"))


def store(redis: DownRedis, address: Address, clock: FixedClock) -> JWKSClient:
    return JWKSClient(URL, JWKSCache(redis, URL), address, clock, clock, lambda work: work())


def lease_runs_out(redis: DownRedis, clock: FixedClock, seconds: float = 30.1) -> None:
    """The lease lives by the server's clock, which a test cannot turn."""
    redis.client.delete(*redis.client.keys("*:lease"), "nothing")
    clock.advance(seconds)


def test_fetches_once_and_shares(redis: DownRedis, clock: FixedClock) -> None:
    address = Address(KEY)
    first, second = store(redis, address, clock), store(redis, address, clock)
    assert first.find(KEY.kid) == KEY.public
    assert second.find(KEY.kid) == KEY.public
    assert first.find("other") is None
    assert address.fetches == 1


def test_a_new_key_is_found_within_thirty_seconds(redis: DownRedis, clock: FixedClock) -> None:
    address = Address(KEY)
    keys = store(redis, address, clock)
    keys.find(KEY.kid)
    address.keys.append(OTHER_KEY)
    assert not keys.refresh()
    lease_runs_out(redis, clock)
    assert keys.refresh()
    assert keys.find(OTHER_KEY.kid) == OTHER_KEY.public
    assert address.fetches == 2


def test_another_process_fetch_is_taken_over_within_a_second(redis: DownRedis, clock: FixedClock) -> None:
    address = Address(KEY)
    first, second = store(redis, address, clock), store(redis, address, clock)
    first.find(KEY.kid)
    second.find(KEY.kid)
    address.keys.append(OTHER_KEY)
    lease_runs_out(redis, clock)
    assert first.refresh()
    clock.advance(1)
    assert second.refresh()
    assert second.find(OTHER_KEY.kid) == OTHER_KEY.public
    assert address.fetches == 2


def test_a_flood_of_unknown_keys_fetches_once_in_thirty_seconds(redis: DownRedis, clock: FixedClock) -> None:
    address = Address(KEY)
    processes = [store(redis, address, clock) for _ in range(4)]
    for number in range(2_000):
        keys = processes[number % 4]
        assert keys.find(f"kid-{number}") is None
        keys.refresh()
        clock.advance(29 / 2_000)
    assert address.fetches == 1


def test_known_keys_outlive_their_address(redis: DownRedis, clock: FixedClock) -> None:
    address = Address(KEY)
    keys = store(redis, address, clock)
    keys.find(KEY.kid)
    address.is_down = True
    for _ in range(100):
        lease_runs_out(redis, clock)
        keys.mark_verified()
        assert keys.find(KEY.kid) == KEY.public
    assert address.fetches == 101


def test_keys_in_redis_serve_a_new_process_without_the_address(redis: DownRedis, clock: FixedClock) -> None:
    address = Address(KEY)
    store(redis, address, clock).find(KEY.kid)
    address.is_down = True
    assert store(redis, address, clock).find(KEY.kid) == KEY.public


def test_without_any_key_it_says_so_and_tries_again_in_five_seconds(redis: DownRedis, clock: FixedClock) -> None:
    address = Address(KEY)
    address.is_down = True
    keys = store(redis, address, clock)
    for _ in range(20):
        with pytest.raises(KeysUnavailableError):
            keys.find(KEY.kid)
    assert address.fetches == 1
    address.is_down = False
    lease_runs_out(redis, clock, 5)
    assert keys.find(KEY.kid) == KEY.public


def test_without_redis_each_process_keeps_to_the_pause_alone(redis: DownRedis, clock: FixedClock) -> None:
    redis.is_down = True
    address = Address(KEY)
    keys = store(redis, address, clock)
    assert keys.find(KEY.kid) == KEY.public
    for _ in range(29):
        clock.advance(1)
        keys.refresh()
    assert address.fetches == 1
    clock.advance(2)
    keys.refresh()
    assert address.fetches == 2


def test_good_tokens_keep_the_keys_fresh(redis: DownRedis, clock: FixedClock) -> None:
    """So a withdrawn key is gone and a new one known after 30 s, whatever bad tokens do."""
    address = Address(KEY, OTHER_KEY)
    keys, others = store(redis, address, clock), store(redis, address, clock)
    assert keys.find(OTHER_KEY.kid)
    assert others.find(OTHER_KEY.kid)
    address.keys.pop()
    clock.advance(29.9)
    keys.mark_verified()
    assert address.fetches == 1
    lease_runs_out(redis, clock, 0.1)
    keys.mark_verified()
    others.mark_verified()
    assert keys.find(OTHER_KEY.kid) is None
    assert others.find(OTHER_KEY.kid) is None
    assert not keys.refresh()
    assert address.fetches == 2


def test_the_same_keys_read_again_are_the_same_objects(redis: DownRedis, clock: FixedClock) -> None:
    keys = store(redis, Address(KEY), clock)
    before = keys.find(KEY.kid)
    lease_runs_out(redis, clock, 30)
    keys.mark_verified()
    assert keys.find(KEY.kid) is before


def test_old_keys_are_not_read_again_while_another_process_reads_them(redis: DownRedis, clock: FixedClock) -> None:
    address = Address(KEY)
    keys = store(redis, address, clock)
    keys.find(KEY.kid)
    clock.advance(31)
    keys.mark_verified()  # the lease is as if a fetch had begun this very moment
    assert address.fetches == 1


class Leases(JWKSCache):
    """A cache whose leases run out by the test's clock."""

    def __init__(self, redis: DownRedis, clock: FixedClock) -> None:
        super().__init__(redis, URL)
        self._now, self._until = clock, 0.0

    def take_lease(self, seconds: float) -> bool:
        if self._now() < self._until:
            return False
        self._until = self._now() + seconds
        return True

    def drop_lease(self) -> None:
        self._until = 0.0


@given(st.lists(st.tuples(st.sampled_from(["good", "bad"]), st.integers(0, 2), st.floats(0, 20)), max_size=80))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_two_fetches_within_thirty_seconds_however_good_and_bad_tokens_mix(
    redis: DownRedis, traffic: list[tuple[str, int, float]]
) -> None:
    redis.client.flushdb()
    clock, fetched_at = FixedClock(1_790_000_000.0), []
    cache = Leases(redis, clock)

    def fetch(url: str) -> str:
        fetched_at.append(clock())
        return document(KEY)

    processes = [JWKSClient(URL, cache, fetch, clock, clock, lambda work: work()) for _ in range(3)]
    for kind, place, seconds in traffic:
        assert processes[place].find(KEY.kid) == KEY.public
        processes[place].mark_verified() if kind == "good" else processes[place].refresh()
        clock.advance(seconds)
    assert all(after - before >= 30 for before, after in pairwise(fetched_at))


def test_a_fetch_that_a_good_token_needed_starts_no_pause(redis: DownRedis, clock: FixedClock) -> None:
    address = Address(KEY)
    keys = store(redis, address, clock)
    keys.find(KEY.kid)
    keys.mark_verified(is_new=True)
    address.keys.append(OTHER_KEY)
    assert keys.refresh()
    assert address.fetches == 2
    keys.mark_verified()  # a token that an older key made good says nothing about the fetch
    assert not keys.refresh()
    assert address.fetches == 2


@pytest.mark.real_server
def test_a_cold_process_waits_for_the_one_that_fetches(redis: DownRedis, clock: FixedClock) -> None:
    address = Address(KEY)
    cache = JWKSCache(redis, URL)
    assert cache.take_lease(30)
    cold, found = store(redis, address, clock), []
    waiting = threading.Thread(target=lambda: found.append(cold.find(KEY.kid)))
    waiting.start()
    cache.put(parse_jwks(document(KEY), clock()))
    waiting.join(timeout=5)
    assert found == [KEY.public]
    assert address.fetches == 0


def test_threads_of_one_process_fetch_once(redis: DownRedis, clock: FixedClock) -> None:
    with jwks_server() as clerk:
        clerk.delay_seconds = 0.1
        keys, found = JWKSClient(clerk.url, JWKSCache(redis, clerk.url)), []
        threads = [threading.Thread(target=lambda: found.append(keys.find(KEY.kid))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=5)
        assert found == [KEY.public] * 8
        assert clerk.fetches == 1


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "[]",
        "{}",
        "5",
        '{"keys": 5}',
        '{"keys": null}',
        '{"keys": "n"}',
        '{"keys": {"a": 1}}',
        '{"keys": []}',
        '{"keys": [1]}',
        '{"keys": [{"kty": "RSA", "kid": "a"}]}',
    ],
)
def test_a_useless_document_replaces_nothing(redis: DownRedis, clock: FixedClock, answer: str) -> None:
    answers = [document(KEY), answer]
    keys = JWKSClient(URL, JWKSCache(redis, URL), lambda url: answers.pop(0), clock, clock)
    keys.find(KEY.kid)
    lease_runs_out(redis, clock)
    assert not keys.refresh()
    assert not answers
    assert keys.find(KEY.kid) == KEY.public
    with pytest.raises(KeySetError):
        load_key_set(answer)


def jwks_entry(row: dict[str, Any]) -> Any:
    """What a row of the table stands for: itself, or a good key with changes, of which None leaves a member out."""
    if not isinstance(row["entry"], dict):
        return row["entry"]
    changed = OTHER_KEY.jwk | row["entry"]["changes"]
    return {name: value for name, value in changed.items() if value is not None}


@pytest.mark.parametrize("row", ENTRIES, ids=[row["name"] for row in ENTRIES])
@pytest.mark.parametrize("place", [0, 1])
def test_what_cannot_be_used_is_ignored(row: dict[str, Any], place: int) -> None:
    entries = [KEY.jwk]
    entries.insert(place, jwks_entry(row))
    found = set(parse_jwks(json.dumps({"keys": entries}), 0.0).keys)
    assert found == ({KEY.kid, OTHER_KEY.kid} if row["usable"] else {KEY.kid})


@pytest.mark.parametrize("row", [row for row in ENTRIES if not row["usable"]], ids=lambda row: row["name"])
def test_an_unusable_entry_of_a_known_name_takes_no_key_away(row: dict[str, Any]) -> None:
    entry = jwks_entry(row)
    if isinstance(entry, dict) and "kid" in entry:
        entry["kid"] = KEY.kid if isinstance(entry["kid"], str) else entry["kid"]
    assert parse_jwks(json.dumps({"keys": [KEY.jwk, entry]}), 0.0).keys == {KEY.kid: KEY.public}


@given(st.recursive(ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=5)))
def test_no_json_beside_a_good_key_takes_it_away(odd: Any) -> None:
    assert KEY.kid in parse_jwks(json.dumps({"keys": [odd, KEY.jwk]}), 0.0).keys


def test_an_unreadable_stored_set_is_fetched_again(redis: DownRedis, clock: FixedClock) -> None:
    address = Address(KEY)
    store(redis, address, clock).find(KEY.kid)
    [key] = [key for key in redis.client.keys("*") if not key.endswith(b"lease")]
    redis.client.set(key, "rubbish")
    redis.client.delete(key + b":lease")
    assert store(redis, address, clock).find(KEY.kid) == KEY.public
    assert address.fetches == 2


def test_one_fixed_key_has_any_name() -> None:
    keys = StaticKey(KEY.public)
    assert keys.find("whatever") == KEY.public
    assert not keys.refresh()


@pytest.mark.parametrize("what", PIECES)
def test_an_address_that_drips_makes_the_keys_unavailable_in_time(
    redis: DownRedis, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(jwks, "FETCH_TIMEOUT_SECONDS", 0.3)
    with slow_server(PIECES[what]()) as url, pytest.raises(KeysUnavailableError):
        JWKSClient(url, JWKSCache(redis, url)).find(KEY.kid)


def test_a_key_set_of_more_than_a_megabyte_is_not_read(redis: DownRedis) -> None:
    pieces = itertools.chain([HEAD + b"\r\n"], itertools.repeat(b" " * 100_000))
    with slow_server(pieces, 0) as url, pytest.raises(KeysUnavailableError):
        JWKSClient(url, JWKSCache(redis, url)).find(KEY.kid)
