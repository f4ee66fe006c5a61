import gzip
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from regime.conf import RegimeConf
from regime.domain.macro import Observation, Period, as_known, newest
from regime.models import MacroObservation, MacroSeries
from regime.services import macro
from regime.services.macro import Macro
from regime.store.answer_cache import AnswerCache
from tests.doubles import DownRedis
from tests.regime.states import NOW
from tests.regime.test_views import problem
from tests.regime.web_process import forget, fresh_web_process

SAMPLE = Path("regime/sample_data/us_macro_vintages.csv.gz")

_GOOD = gzip.compress(b"series_id,date,vintage,value\n" + b"X,2016-01-01,2016-02-01,1\n" * 99, mtime=0)
_DAMAGED = (_GOOD[:-9], _GOOD[:40] + b"x" + _GOOD[41:])

days = st.integers(1, 6).map(lambda n: date(2016, n, 1))
histories = st.lists(st.builds(Observation, days, days, st.sampled_from([1.0, 2.0, 3.0])), max_size=20)


@pytest.fixture(autouse=True)
def fresh_process(redis_of: Any, db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with fresh_web_process(monkeypatch):
        yield


def load(tmp_path: Path, text: str) -> None:
    file = tmp_path / "macro.csv"
    file.write_text("series_id,date,vintage,value\n" + text)
    call_command("load_macro", str(file))


@given(histories, st.none() | days)
def test_as_known_gives_what_a_reader_of_that_day_saw(history: list[Observation], vintage: date | None) -> None:
    seen: dict[date, tuple[date, float]] = {}
    for one in history:
        if (vintage is None or one.vintage <= vintage) and one.vintage > seen.get(one.date, (date.min, 0.0))[0]:
            seen[one.date] = (one.vintage, one.value)
    known = as_known(history, Period(vintage))
    assert [(one.date, one.vintage, one.value) for one in known] == [(day, *seen[day]) for day in sorted(seen)]


def test_the_newest_value_stands_beside_the_one_before() -> None:
    may, june, july = date(2016, 5, 1), date(2016, 6, 1), date(2016, 7, 1)
    one = newest([Observation(may, june, 4.7), Observation(may, july, 4.8), Observation(june, july, 4.9)])
    assert one is not None
    assert (one.date, one.value, one.vintage, one.revised) == (june, 4.9, july, False)
    assert (one.previous_value, one.previous_revised, one.change) == (4.8, True, 0.1)
    assert newest([]) is None
    alone = newest([Observation(may, june, 4.7)])
    assert alone is not None
    assert (alone.previous_value, alone.change) == (None, None)


def test_loading_twice_changes_nothing_and_keeps_every_vintage(client: Client) -> None:
    for _ in range(2):
        call_command("load_macro", str(SAMPLE))
        assert (MacroSeries.objects.count(), MacroObservation.objects.count()) == (29, 17_329)
    results = client.get("/api/macro").json()["results"]
    assert len(results) == 29
    unemployment = next(row for row in results if row["series_id"] == "UNRATE")
    assert unemployment["date"] == "2016-06-01"
    assert unemployment["vintage"] == "2016-07-29"
    assert unemployment["change"] == pytest.approx(unemployment["value"] - unemployment["previous_value"])


def test_a_corrected_row_replaces_the_one_of_its_vintage(tmp_path: Path) -> None:
    load(tmp_path, "X,2016-01-01,2016-02-01,1\nX,2016-01-01,2016-02-01,2\n")
    load(tmp_path, "X,2016-01-01,2016-02-01,3\n")
    assert list(MacroObservation.objects.values_list("value", flat=True)) == [3.0]


def test_a_bad_row_is_told_by_number_and_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        load(
            tmp_path,
            "X,2016-01-01,2016-02-01,1\nX,y,2016-02-01,1\nX,2016-01-01\nX,2016-02-01,2016-03-01,nan\n"
            "X,2016-02-01,2999-01-01,1\n",
        )
    assert ended.value.code == 1
    output = capsys.readouterr()
    assert "rows=1 bad_lines=4" in output.out
    assert [line.split(":")[0] for line in output.err.splitlines()] == ["line 3", "line 4", "line 5", "line 6"]
    assert "2999-01-01 is in the future" in output.err


def test_empty_lines_are_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load(tmp_path, "X,2016-01-01,2016-02-01,1\n\nX,2016-02-01,2016-03-01, 2.5\n\n")
    output = capsys.readouterr()
    assert ("rows=2 bad_lines=0" in output.out, output.err) == (True, "")


@pytest.mark.parametrize("value", ["1_000", "inf", "0x10", "", "1e999"])
def test_what_only_a_language_takes_for_a_number_is_a_bad_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    with pytest.raises(SystemExit):
        load(tmp_path, f"X,2016-01-01,2016-02-01,{value}\n")
    assert capsys.readouterr().err == f"line 2: value must be a finite decimal number, not {value!r}\n"


@pytest.mark.parametrize(
    "content",
    [b"a,b\n", gzip.compress(b"a,b\n", mtime=0), b"\xff\xfe", b"", *_DAMAGED],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / ("x.csv.gz" if content[:2] == b"\x1f\x8b" else "x.csv")
    file.write_bytes(content)
    with pytest.raises(CommandError, match="cannot use"):
        call_command("load_macro", str(file))
    with pytest.raises(CommandError, match="cannot use"):
        call_command("load_macro", str(tmp_path / "missing.csv"))


def test_a_series_is_answered_as_known_on_a_day(client: Client, tmp_path: Path) -> None:
    load(tmp_path, "X,2016-01-01,2016-02-01,1\nX,2016-01-01,2016-03-01,1.5\nX,2016-02-01,2016-03-01,2\n")
    assert client.get("/api/macro/X").json() == {
        "series_id": "X",
        "vintage": "2016-03-01",
        "count": 2,
        "observations": [
            {"date": "2016-01-01", "vintage": "2016-03-01", "value": 1.5},
            {"date": "2016-02-01", "vintage": "2016-03-01", "value": 2.0},
        ],
    }
    then = client.get("/api/macro/X?vintage=2016-02-29").json()
    assert [one["value"] for one in then["observations"]] == [1.0]
    assert [one["value"] for one in client.get("/api/macro/X?start=2016-02-01").json()["observations"]] == [2.0]
    assert [one["value"] for one in client.get("/api/macro/X?end=2016-01-31").json()["observations"]] == [1.5]
    assert client.get("/api/macro/X?vintage=2000-01-01").json()["count"] == 0


def test_unknown_series_and_bad_dates_are_told(client: Client) -> None:
    assert problem(client.get("/api/macro/NOPE")) == "unknown-series"
    errors = client.get("/api/macro/NOPE?start=x&vintage=2016-13-01").json()["errors"]
    assert set(errors) == {"start", "vintage"}


def test_an_unknown_series_leaves_no_key(client: Client, redis_of: Any, tmp_path: Path) -> None:
    """A caller may ask for any number of names."""

    def kept() -> set[bytes]:
        return set(redis_of("default").keys("avo:{macro}:*"))

    load(tmp_path, "X,2016-01-01,2016-02-01,1\n")
    before = kept()
    assert problem(client.get("/api/macro/NOPE")) == "unknown-series"
    assert kept() == before
    assert client.get("/api/macro/X").status_code == 200
    assert kept() > before


@pytest.mark.parametrize("name", ["%00", "A%20B", "%C3%84", "A" * 65])
def test_a_name_that_no_series_can_have_is_asked_of_no_database(
    client: Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(macro, "history_of", lambda series_id: pytest.fail("asked"))
    response = client.get(f"/api/macro/{name}")
    assert response.status_code == 404
    assert problem(response) == "unknown-series"


def test_a_cache_that_is_away_keeps_no_row_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    down = DownRedis(AnswerCache.connect()._client, failing_commands={"incr"})
    monkeypatch.setattr("regime.store.answer_cache.get_redis_connection", lambda alias: down)
    load(tmp_path, "X,2016-01-01,2016-02-01,1\n")
    output = capsys.readouterr()
    assert MacroObservation.objects.count() == 1
    assert "rows=1 bad_lines=0" in output.out
    assert "300 s" in output.err


@pytest.mark.parametrize("broken", [b"oops", b"[1]\n{}", b"HEAD[[5]]", b"HEAD[[", b"", b"\xff"])
def test_a_kept_answer_that_cannot_be_read_is_made_anew(
    client: Client, redis_of: Any, tmp_path: Path, broken: bytes
) -> None:
    load(tmp_path, "X,2016-01-01,2016-02-01,1\n")
    wanted = [client.get(path).json() for path in ("/api/macro", "/api/macro/X")]
    redis = redis_of("default")
    head = b"[%d,%d]\n" % (time.time(), int(redis.get("avo:{macro}:generation")))
    kept = redis.keys("avo:{macro}:answer:*:series:*" if broken.startswith(b"HEAD") else "avo:{macro}:answer:*")
    for key in kept:
        redis.set(key, broken.replace(b"HEAD", head))
    assert kept
    forget()
    assert [client.get(path).json() for path in ("/api/macro", "/api/macro/X")] == wanted


def test_without_data_the_list_is_empty(client: Client) -> None:
    assert client.get("/api/macro?vintage=2016-01-01").status_code == 400
    assert client.get("/api/macro").json() == {"count": 0, "results": []}


def test_a_load_is_seen_at_once(client: Client, tmp_path: Path) -> None:
    client.get("/api/macro")
    load(tmp_path, "X,2016-01-01,2016-02-01,1\n")
    assert client.get("/api/macro").json()["count"] == 1
    load(tmp_path, "X,2016-01-01,2016-03-01,2\n")
    assert client.get("/api/macro/X").json()["observations"][0]["value"] == 2.0


def test_answers_are_confirmed_and_say_how_long_they_hold(client: Client, tmp_path: Path) -> None:
    load(tmp_path, "X,2016-01-01,2016-02-01,1\n")
    first = client.get("/api/macro")
    assert "max-age=" in first.headers["Cache-Control"]
    assert "stale-if-error=" in first.headers["Cache-Control"]
    assert client.get("/api/macro", headers={"If-None-Match": first.headers["ETag"]}).status_code == 304


# Kept answers


@pytest.fixture
def answers(redis_of: Any) -> AnswerCache:
    return AnswerCache(redis_of("default"), RegimeConf())


def test_an_answer_is_made_once_while_it_is_fresh(
    answers: AnswerCache, redis_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = counting(monkeypatch)
    kept = Macro(answers)
    for second in range(5):
        assert kept.newest_of_all(NOW + second) == b"made 1"
    assert made == [1]
    redis_of("default").delete("avo:{macro}:lease:newest")  # it ran out long ago
    assert kept.newest_of_all(NOW + RegimeConf().macro_fresh_seconds) == b"made 2"


def test_while_one_remakes_it_the_others_get_the_old_one(answers: AnswerCache, monkeypatch: pytest.MonkeyPatch) -> None:
    counting(monkeypatch)
    kept = Macro(answers)
    kept.newest_of_all(NOW)
    answers.invalidate()
    assert answers.take("newest", NOW).must_build  # the other
    assert kept.newest_of_all(NOW) == b"made 1"


def counting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    made: list[int] = []

    def make() -> bytes:
        made.append(len(made) + 1)
        return b"made %d" % len(made)

    monkeypatch.setattr(macro, "_newest_of_all", make)
    return made


def fail() -> bytes:
    raise OperationalError("gone")


def test_a_database_that_fails_is_bridged_by_the_kept_answer(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_of: Any
) -> None:
    load(tmp_path, "X,2016-01-01,2016-02-01,1\n")
    assert client.get("/api/macro").json()["count"] == 1
    AnswerCache.connect().invalidate()
    monkeypatch.setattr(macro, "_newest_of_all", fail)
    assert client.get("/api/macro").json()["count"] == 1
    assert redis_of("default").ttl("avo:{macro}:answer:2:newest") <= 300 + RegimeConf().macro_stale_seconds


def test_without_a_kept_answer_a_failing_database_is_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(macro, "_newest_of_all", fail)
    response = client.get("/api/macro")
    assert response.status_code == 503
    assert problem(response) == "database-unavailable"


def test_a_redis_that_fails_is_done_without(redis_of: Any, tmp_path: Path) -> None:
    load(tmp_path, "X,2016-01-01,2016-02-01,1\n")
    down = DownRedis(redis_of("default"))
    kept = Macro(AnswerCache(down, RegimeConf()))
    down.is_down = True
    assert b'"count":1' in kept.newest_of_all(time.time())
    down.is_down, down.failing_commands = False, {"set"}
    assert b'"count":1' in kept.newest_of_all(time.time())
