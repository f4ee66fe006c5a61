import gzip
import io
import json
import sys
from codecs import BOM_UTF8
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from redis import Redis

from regime.domain.freshness import LIFE_SECONDS
from regime.domain.state import FIELDS
from regime.store.collection_store import CollectionStore
from tests.regime.states import plain_hset


def lines(*states: dict[str, object]) -> bytes:
    return b"".join(json.dumps(state).encode() + b"\n" for state in states)


def state(symbol: str, computed_at: float, bull: float = 0.5) -> dict[str, object]:
    return {"symbol": symbol, "computed_at": computed_at, "scores": {"1mo": {"bull": bull}}}


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_write_regimes_writes_a_file(redis: Any, tmp_path: Path, server_now: float) -> None:
    file = tmp_path / "states.ndjson"
    file.write_bytes(lines(state("a", server_now), state("B", server_now - LIFE_SECONDS)))
    said = run("write_regimes", str(file))
    assert said.startswith("written=1 newer_is_there=0 past_its_life=1 bad_lines=0")
    assert redis.hget("argus:regime:A", "bull:1mo") == b"0.5"
    assert 0 < redis.ttl("argus:regime:A") <= LIFE_SECONDS
    assert CollectionStore.connect().pointer().symbols == 1


def test_write_regimes_skips_a_byte_order_mark(redis: Any, tmp_path: Path, server_now: float) -> None:
    file = tmp_path / "states.ndjson"
    for text in (lines(state("A", server_now)), b"\n" + lines(state("B", server_now))):
        file.write_bytes(BOM_UTF8 + text)
        assert run("write_regimes", str(file)).startswith("written=1 newer_is_there=0 past_its_life=0 bad_lines=0")


def test_write_regimes_reads_standard_input_and_tells_bad_lines(
    redis: Any, server_now: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = lines(state("A", server_now)) + b"oops\n\n" + lines(state("C C", server_now), state("D", server_now))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    with pytest.raises(SystemExit) as ended:
        call_command("write_regimes", "-")
    assert ended.value.code == 1
    output = capsys.readouterr()
    assert "written=2" in output.out
    assert [line.split(":")[0] for line in output.err.splitlines()] == ["line 2", "line 4"]
    assert redis.exists("argus:regime:A", "argus:regime:D") == 2


def test_write_regimes_without_a_file_says_so(redis: Any) -> None:
    with pytest.raises(CommandError, match="cannot read"):
        run("write_regimes", "nowhere.ndjson")


def test_compute_regimes_scores_the_bundled_sample(
    redis: Any, server_now: float, capsys: pytest.CaptureFixture[str]
) -> None:
    said = run("compute_regimes")
    assert said.startswith("written=29")
    assert "the data of 29 of 29 states ended more than 4 days ago" in capsys.readouterr().err
    assert "closes_up_to=2026-10-30" in said
    held = redis.hgetall("argus:regime:EURUSD=X")
    assert held.keys() == {name.encode() for name in ("computed_at", *FIELDS, "data_through")}
    assert held[b"data_through"] == b"2026-10-30"
    assert float(held[b"computed_at"]) == pytest.approx(server_now, abs=60)
    assert all(0 < redis.ttl(key) <= LIFE_SECONDS for key in redis.scan_iter("argus:regime:*"))


def test_compute_regimes_takes_other_prices_up_to_a_day(redis: Any, tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    rows = [f"2026-01-{day:02},{100 + day},{50 - day}" for day in range(1, 29)]
    file.write_text("date,UP,DOWN\n" + "\n".join(rows))
    assert "closes_up_to=2026-01-20" in run("compute_regimes", "--prices", str(file), "--as-of", "2026-01-20")
    assert float(redis.hget("argus:regime:UP", "bull:1w")) > 0.9
    assert float(redis.hget("argus:regime:DOWN", "bear:1w")) > 0.9
    assert redis.hget("argus:regime:UP", "bull:1mo") is None


def test_compute_regimes_tells_until_when_the_data_of_each_symbol_reaches(
    redis: Any, tmp_path: Path, server_now: float, capsys: pytest.CaptureFixture[str]
) -> None:
    file, last = tmp_path / "prices.csv", datetime.fromtimestamp(server_now, UTC).date()
    days = [last - timedelta(ago) for ago in range(30, -1, -1)]
    rows = [f"{day},{n + 100},{n + 50 if n < 29 else '.'}" for n, day in enumerate(days)]
    file.write_text("date,A,B\n" + "\n".join(rows))
    run("compute_regimes", "--prices", str(file))
    assert redis.hget("argus:regime:A", "data_through").decode() == last.isoformat()
    assert redis.hget("argus:regime:B", "data_through").decode() == (last - timedelta(2)).isoformat()
    assert capsys.readouterr().err == ""


def test_write_regimes_takes_what_a_state_says_of_its_data(
    redis: Any, server_now: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, old = tmp_path / "states.ndjson", {"data_through": "2026-01-05"}
    ours = [
        {**state(symbol, server_now), **more}
        for symbol, more in (("A", old), ("B", {"data_through": 1_767_000_000}), ("C", {}))
    ]
    bad = [{**state("D", server_now), "data_through": through} for through in ("soon", True, [], "2999-01-01")]
    file.write_bytes(lines(*ours, *bad))
    with pytest.raises(SystemExit):
        run("write_regimes", str(file))
    assert [redis.hget(f"argus:regime:{name}", "data_through") for name in "ABC"] == [
        b"2026-01-05",
        b"1767000000",
        None,
    ]
    err = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in err] == ["line 4", "line 5", "line 6", "line 7", "warning"]
    assert "still to come" in err[3]
    assert "2 of 3 states" in err[4]


def test_compute_regimes_refuses_what_it_cannot_use(redis: Any, tmp_path: Path) -> None:
    packed = gzip.compress(b"date,A\n" + b"".join(b"2026-01-%02d,%d\n" % (n, n * n) for n in range(1, 29)), mtime=0)
    with pytest.raises(CommandError, match="no closes on or before 1990-01-01"):
        run("compute_regimes", "--as-of", "1990-01-01")
    with pytest.raises(CommandError, match="cannot use"):
        run("compute_regimes", "--prices", str(tmp_path / "missing.csv"))
    for number, damaged in enumerate([packed[:-9], packed[:40] + b"x" + packed[41:], gzip.compress(b"\xff\xff")]):
        file = tmp_path / f"{number}.csv.gz"
        file.write_bytes(damaged)
        with pytest.raises(CommandError, match="cannot use"):
            run("compute_regimes", "--prices", str(file))
    with pytest.raises(CommandError, match="--as-of"):
        run("compute_regimes", "--as-of", "yesterday")


def test_refresh_regime_collection_publishes_what_others_wrote(redis: Any, server_now: float) -> None:
    plain_hset(redis, "X", {"computed_at": server_now, "bull:1mo": "0.5"})
    assert "current=1" in run("refresh_regime_collection")
    assert CollectionStore.connect().pointer().symbols == 1


def test_backfill_ends_with_its_report(redis: Any, server_now: float) -> None:
    plain_hset(redis, "X", {"computed_at": server_now, "bull:1mo": "0.5"})
    dry = json.loads(run("backfill_regime_ttl", "--dry-run", "--json"))
    assert list(dry) == ["scanned", "without_ttl", "fixed", "expired", "capped", "already_ok", "seconds"]
    assert redis.ttl("argus:regime:X") == -1
    report = json.loads(run("backfill_regime_ttl", "--json", "--batch", "1000", "--max-per-second", "100000"))
    assert (report["scanned"], report["fixed"]) == (1, 1)
    assert "already_ok=1" in run("backfill_regime_ttl")


@pytest.mark.parametrize("bad", [["--batch", "0"], ["--max-per-second", "0"], ["--assume-age", "86400"]])
def test_backfill_refuses_what_makes_no_sense(redis: Any, bad: list[str]) -> None:
    with pytest.raises(CommandError, match=bad[0]):
        run("backfill_regime_ttl", *bad)


@pytest.fixture
def no_server(redis: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nobody = Redis(unix_socket_path=str(tmp_path / "nobody.sock"))
    for store in ("state_cache", "collection_store", "ttl_backfill"):
        monkeypatch.setattr(f"regime.store.{store}.get_redis_connection", lambda alias: nobody)


@pytest.mark.usefixtures("no_server")
@pytest.mark.parametrize(
    "command", ["write_regimes", "compute_regimes", "backfill_regime_ttl", "refresh_regime_collection"]
)
def test_without_redis_a_command_says_which_one_and_what_to_do(command: str, tmp_path: Path) -> None:
    file = tmp_path / "states.ndjson"
    file.write_bytes(lines(state("A", 0)))
    with pytest.raises(CommandError, match=r"the Redis of the role regime failed: .*Run the command again") as caught:
        run(command, *([str(file)] if command == "write_regimes" else []))
    assert "\n" not in str(caught.value)


class _CutOff:  # standard input during which the server closes every connection
    def __init__(self, redis: Any, computed_at: float) -> None:
        self._redis = redis
        self._computed_at = computed_at

    def __iter__(self) -> Iterator[bytes]:
        for n in range(100):
            if n == 50:
                self._redis.client_kill_filter(_type="normal", skipme=True)
            yield lines(state(f"S{n:02}", self._computed_at))


@pytest.mark.real_server
def test_a_writer_that_is_cut_off_connects_anew_and_writes_all(
    redis: Any, server_now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=_CutOff(redis, server_now)))
    run("write_regimes", "-")
    written = list(redis.scan_iter("argus:regime:*"))
    assert len(written) == 100
    assert all(redis.ttl(key) > 0 for key in written)
