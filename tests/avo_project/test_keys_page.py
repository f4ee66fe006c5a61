"""docs/keys.md is sufficient to write a state or a signal: validators accept and reject what its tables say."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from regime.domain.freshness import FUTURE_TOLERANCE_SECONDS, LIFE_SECONDS, known_data_through
from regime.domain.state import REGIMES, TIMEFRAMES, SymbolError, are_symbols, decode_state, valid_symbol
from signals_app.conf import SignalsConf
from signals_app.domain import event as event_rules
from signals_app.domain.event import DIRECTIONS, OWN_FIELDS, BadEventError, Event, parse_entry
from tests.avo_project.keys_page import (
    example,
    execution_of_the_signal,
    quoted,
    rows,
    run_example,
    scores_served,
    section,
    socket,
)

ROOT = Path(__file__).resolve().parent.parent.parent
NOW = 1_790_000_100
SIGNAL = {
    "signal_id": "0192a8d6-b677-7029-8876-1291c628e85a", "symbol": "AAPL", "direction": "long", "confidence": "0.75",
}  # fmt: skip


def examples(heading: str) -> list[Any]:
    """Each good and each bad value of a table of forms: the part it is of, the value, whether it is good."""
    tables = [cells for cells in rows(heading, 4) if quoted(cells[0])]
    return [
        pytest.param(part, value, is_good, id=f"{part} {value}")
        for head, _, good, bad in tables
        for part in quoted(head)
        for is_good, cell in ((True, good), (False, bad))
        for value in quoted(cell)
    ]


def is_good_part_of_a_state(part: str, value: str) -> bool:
    if part == "<SYMBOL>":
        return are_symbols([value.encode()])
    if part == "computed_at":
        return decode_state("AAPL", [b"computed_at", value.encode(), b"bull:1w", b"1"], None).classify(NOW).is_current
    if part == "data_through":
        return known_data_through(value.encode()) != b""
    assert part == "<regime>:<timeframe>"
    state = decode_state("AAPL", [b"bull:1w", value.encode()], None)
    assert state.bad_fields == (state.scores[0] is None)
    return state.scores[0] is not None


@pytest.mark.parametrize(("part", "value", "is_good"), examples("A state"))
def test_an_example_of_a_state_is_what_the_reader_makes_of_it(part: str, value: str, is_good: bool) -> None:
    assert is_good_part_of_a_state(part, value) is is_good


def accepted(**changes: str) -> Event | None:
    try:
        return parse_entry({name.encode(): value.encode() for name, value in (SIGNAL | changes).items()})
    except BadEventError:
        return None


@pytest.mark.parametrize(("part", "value", "is_good"), examples("A signal"))
def test_an_example_of_a_signal_is_what_the_consumer_makes_of_it(part: str, value: str, is_good: bool) -> None:
    assert (accepted(**{part: value}) is not None) is is_good


def test_every_field_of_a_signal_has_its_row() -> None:
    assert {name for cells in rows("A signal", 4) for name in quoted(cells[0])} == OWN_FIELDS
    for name in SIGNAL:
        with pytest.raises(BadEventError, match=f"missing-field: there is no {name}"):
            parse_entry({one.encode(): value.encode() for one, value in SIGNAL.items() if one != name})


def test_regimes_timeframes_and_directions_are_those_of_the_code() -> None:
    values = {cells[0]: tuple(quoted(cells[1])) for cells in rows("A state", 2)}
    assert values["`<regime>`"] == REGIMES
    assert values["`<timeframe>`"] == TIMEFRAMES
    [words] = [cells[2] for cells in rows("A signal", 4) if cells[0] == "`direction`"]
    assert set(quoted(words)) == DIRECTIONS
    assert f"{len(REGIMES) * len(TIMEFRAMES)} scores" in section("A state")


def limits() -> dict[str, int]:
    return {name: int(value.replace(",", "")) for name, value in rows("Limits", 2) if re.fullmatch(r"[\d,]+", value)}


def test_the_limits_are_those_of_the_code(settings: Any) -> None:
    conf: SignalsConf = SignalsConf.load()
    assert limits() == {
        "characters of a symbol": 64,
        "life of a state, seconds": LIFE_SECONDS,
        "`computed_at` ahead of the reader's clock, seconds": FUTURE_TOLERANCE_SECONDS,
        "fields of a signal": event_rules.MAX_FIELDS,
        "characters of all values of a signal together, and one between each two": event_rules.MAX_BYTES,
        "bytes of all field names of a signal together": event_rules.MAX_BYTES,
        "characters of `confidence`": event_rules._MAX_DIGITS,
        "digits of `published_at`": event_rules._MAX_MILLISECONDS_DIGITS,
        "heartbeat: milliseconds it counts for": conf.heartbeat_ttl_ms,
        "entries of `signals:live` after a trim, about (`SIGNALS_SOFT_CAP`)": conf.soft_cap,
        "entries of `signals:live` at which to stop (`SIGNALS_HARD_CAP`)": conf.hard_cap,
    }


def test_the_limits_are_where_the_code_stops() -> None:
    """What the last value of each limit still is, and the next one is not."""
    most = limits()
    symbol = most["characters of a symbol"]
    assert valid_symbol("A" * symbol)
    with pytest.raises(SymbolError):
        valid_symbol("A" * (symbol + 1))
    assert accepted(symbol="A" * symbol)
    assert not accepted(symbol="A" * (symbol + 1))
    fields = most["fields of a signal"] - len(SIGNAL)
    assert accepted(**{f"f{number}": "" for number in range(fields)})
    assert not accepted(**{f"f{number}": "" for number in range(fields + 1)})
    used = len("\0".join(SIGNAL.values())) + 1
    characters = most["characters of all values of a signal together, and one between each two"] - used
    assert accepted(note="x" * characters)
    assert not accepted(note="x" * (characters + 1))
    names = most["bytes of all field names of a signal together"] - sum(map(len, SIGNAL))
    assert accepted(**{"n" * names: ""})
    assert not accepted(**{"n" * (names + 1): ""})
    digits = most["characters of `confidence`"]
    assert accepted(confidence="0.".ljust(digits, "5"))
    assert not accepted(confidence="0.".ljust(digits + 1, "5"))
    digits = most["digits of `published_at`"]
    assert accepted(published_at="1" * digits)
    assert not accepted(published_at="1" * (digits + 1))


def is_served(computed_at: float) -> bool:
    state = decode_state("AAPL", [b"computed_at", str(computed_at).encode(), b"bull:1w", b"1"], None)
    return state.classify(NOW).is_current


def test_a_state_is_served_for_its_life_and_no_stamp_too_far_ahead() -> None:
    life = limits()["life of a state, seconds"]
    ahead = limits()["`computed_at` ahead of the reader's clock, seconds"]
    assert [is_served(NOW - age) for age in (life - 1, life)] == [True, False]
    assert [is_served(NOW + early) for early in (ahead, ahead + 1)] == [True, False]


def codes_in_code() -> set[str]:
    """The words before the colon in every reason for which an entry is moved to the dead letters."""
    return {
        code
        for path in (ROOT / "signals_app").rglob("*.py")
        for call, code in re.findall(
            r'(BadEventError\(|MoveToDeadLetters\(f|reason=f)"([a-z0-9-]+)[":]', path.read_text()
        )
        if call != "BadEventError(" or path.name == "event.py"
    }


@pytest.mark.parametrize(
    ("stamp", "expires_at", "is_current"),
    [(None, NOW + 86_000, True), (None, NOW - 1, False), (None, None, False), (b"now", NOW + 86_000, False)],
)
def test_without_a_stamp_the_expiry_tells_the_age(
    stamp: bytes | None, expires_at: float | None, is_current: bool
) -> None:
    flat = [b"bull:1w", b"1", *((b"computed_at", stamp) if stamp else ())]
    assert decode_state("AAPL", flat, expires_at).classify(NOW).is_current is is_current


def test_every_reason_of_the_dead_letters_has_its_row() -> None:
    listed = {code for cells in rows("A signal", 2) for code in quoted(cells[0])}
    assert listed == codes_in_code()


@contextmanager
def user_of_the_page(redis: Any) -> Iterator[None]:
    _, name, *rules = example("acl").replace("#SHA256", ">secret").split()
    redis.execute_command("ACL", "SETUSER", name, *rules)
    try:
        yield
    finally:
        redis.execute_command("ACL", "DELUSER", name)


@pytest.mark.real_server
def test_the_user_of_the_page_may_do_what_the_page_says_and_no_more(redis_of: Any) -> None:
    redis, members = redis_of("signals"), "{signals:live}:members"
    with user_of_the_page(redis):
        for allowed in (
            "XGROUP CREATE signals:live desk 0 MKSTREAM",
            "XREADGROUP GROUP desk node-1 COUNT 10 BLOCK 1000 STREAMS signals:live >",
            "XACK signals:live desk 1-0",
            "XAUTOCLAIM signals:live desk node-1 60000 0",
            f"HSET {members} field value",
            f"HDEL {members} field",
            "XRANGE {signals:live}:dead - +",
            "WATCH argus:regime:AAPL",
            "HGET argus:regime:AAPL computed_at",
        ):
            assert redis.execute_command("ACL", "DRYRUN", "desk", *allowed.split()) in (b"OK", "OK"), allowed
        for refused in (
            "FLUSHALL",
            "GET avo:{regime}:pointer",
            "XADD {signals:live}:dead * a b",
            "XTRIM signals:live MAXLEN 0",
        ):
            assert redis.execute_command("ACL", "DRYRUN", "desk", *refused.split()) not in (b"OK", "OK"), refused


@pytest.mark.real_server
@pytest.mark.django_db
def test_the_example_for_redis_cli(client: Any, redis_of: Any, tmp_path: Path) -> None:
    redis_cli = shutil.which("redis-cli") or shutil.which("valkey-cli")
    if redis_cli is None:
        pytest.skip("redis-cli is not on the PATH: apt-get install redis-tools")
    command = f"{redis_cli} -e --user desk --pass secret --no-auth-warning -s {socket()}"
    (tmp_path / "redis-cli").write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    (tmp_path / "redis-cli").chmod(0o755)
    redis_of("regime").hset("argus:regime:BTC/USDT", "bull:2y", "0.9")  # of an earlier state
    with user_of_the_page(redis_of("regime")):
        run_example("sh", "-e", "-c", example("sh"), PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert scores_served(client, "BTC/USDT") == {"calm:1w": 0.5, "bull:1mo": 0.8213, "bear:1mo": 0.0411}
    made = execution_of_the_signal()
    assert (made.symbol, made.direction, made.confidence) == ("BTC/USDT", "long", 0.8213)
