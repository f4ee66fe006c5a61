"""The commands as they are typed, in this process."""

import io
import json
import uuid
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from signals_app import keys
from signals_app.models import Execution
from signals_app.services.consumer import ConsumerOptions
from tests.signals_app.conftest import fields

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=out)
    return out.getvalue()


@pytest.fixture
def signal_file(tmp_path: Path) -> Path:
    path = tmp_path / "signals.ndjson"
    path.write_bytes(b"\n".join(orjson.dumps(fields(number)) for number in range(20)))
    return path


def consume(*arguments: str) -> str:
    return run("consume_signals", "--stop-when-idle", "--block-ms", "0", *arguments).splitlines()[-1]


def test_from_a_file_to_executions(redis_client: Any, signal_file: Path) -> None:
    assert run("publish_signals", str(signal_file)) == "published=20 bad=0\n"
    assert consume() == "consumed=20 executed=20 duplicates=0 dead=0 reclaimed=0"
    assert consume() == "consumed=0 executed=0 duplicates=0 dead=0 reclaimed=0"
    assert run("publish_signals", str(signal_file)) == "published=20 bad=0\n"
    assert consume("--count", "7") == "consumed=20 executed=0 duplicates=20 dead=0 reclaimed=0"
    assert Execution.objects.count() == 20


@pytest.mark.parametrize(
    "command",
    [
        "publish_signals {file}",
        "consume_signals --stop-when-idle",
        "derive_signals",
        "replay_signals --from 1-0 --to 2-0 --group again",
        "signal_dead_letters",
        "signal_dead_letters --redrive",
        "signal_groups",
        "signal_groups --forget other --yes",
        "signal_lag",
    ],
)
def test_a_redis_error_is_reported_in_one_line(redis_client: Any, signal_file: Path, command: str) -> None:
    redis_client.mset({keys.LIVE: "somebody else's", keys.DEAD: "too"})
    with pytest.raises(CommandError) as raised:
        run(*command.format(file=signal_file).split())
    said = str(raised.value)
    assert said.startswith("the Redis of the role signals")
    assert " failed: WRONGTYPE" in said
    assert "\n" not in said


def test_without_its_table_nothing_is_dead_lettered_and_the_exit_is_an_error(
    redis_client: Any, signal_file: Path, executions_missing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signals_app.services.consumer.reconnect_delay_seconds", lambda attempts: 0.0)
    run("publish_signals", str(signal_file))
    with executions_missing():
        for _ in range(7):  # more than an entry may be delivered
            with pytest.raises(CommandError, match=r"the database is unavailable: .*consumed=0 executed=0 .* dead=0"):
                consume()
    assert redis_client.xlen(keys.DEAD) == 0
    assert redis_client.xpending(keys.LIVE, keys.DEFAULT_GROUP)["pending"] == 10
    assert consume("--claim-idle-ms", "0") == "consumed=20 executed=20 duplicates=0 dead=0 reclaimed=10"


def test_without_any_data_every_command_answers(redis_client: Any) -> None:
    assert consume() == "consumed=0 executed=0 duplicates=0 dead=0 reclaimed=0"
    redis_client.flushall()
    assert "0 entries" in run("signal_lag")
    assert json.loads(run("signal_lag", "--json")) == {
        "stream": "signals:live", "length": 0, "groups": [], "added": 0, "dead_letters": 0, "is_exhausted": False,
    }  # fmt: skip
    assert run("replay_signals", "--from", "2020-01-01", "--to", "2020-01-02", "--group", "g") == "group=g entries=0\n"


def test_bad_lines_are_reported_and_the_exit_status_says_so(redis_client: Any, tmp_path: Path) -> None:
    path = tmp_path / "bad.ndjson"
    path.write_bytes(orjson.dumps(fields(1)) + b"\nnonsense\n" + orjson.dumps(fields(2, direction="up")))
    out = io.StringIO()
    with pytest.raises(CommandError, match="2 bad lines"):
        call_command("publish_signals", str(path), stdout=out, stderr=out)
    assert "line 2: not-json" in out.getvalue()
    assert "line 3: bad-direction" in out.getvalue()
    assert "published=1 bad=2" in out.getvalue()
    assert redis_client.xlen(keys.LIVE) == 1


def test_a_file_that_is_not_there(redis_client: Any) -> None:
    with pytest.raises(CommandError, match=r"cannot read /no/such\.ndjson: No such file"):
        run("publish_signals", "/no/such.ndjson")


def test_a_full_stream_refuses_with_a_clear_error(redis_client: Any, settings: Any, signal_file: Path) -> None:
    settings.SIGNALS = settings.SIGNALS | {"HARD_CAP": 10}
    signal_file.write_bytes(signal_file.read_bytes().replace(b"\n", b"\n\n", 1))
    with pytest.raises(CommandError, match=r"may hold 10.* 10 were published before\. Continue from line 12\."):
        run("publish_signals", str(signal_file))
    assert redis_client.xlen(keys.LIVE) == 10
    with pytest.raises(CommandError, match="signals:live is full: 10 entries"):
        run("signal_lag")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--block-ms", "15000"], "--block-ms must be 0 to 14,000, not 15000"),
        (["--block-ms", "-1"], "--block-ms must be 0 to 14,000, not -1"),
        (["--count", "0"], "--count must be 1 to 5,000, not 0"),
        (["--claim-idle-ms", "-1"], "--claim-idle-ms must be 0 to 86,400,000, not -1"),
        (["--claim-idle-ms", "9" * 30], "--claim-idle-ms must be 0 to"),
        (["--max-deliveries", "0"], "--max-deliveries must be 1 to 1,000,000, not 0"),
        (["--consumer", "a b"], "without a space"),
        (["--handler", "nowhere.handle"], "nowhere"),
    ],
)
def test_unusable_options_say_what_to_change(redis_client: Any, arguments: list[str], why: str) -> None:
    with pytest.raises(CommandError, match=why):
        run("consume_signals", *arguments)
    assert redis_client.exists(keys.LIVE) == 0


def test_an_idle_consumer_waits_whatever_its_blocking_time() -> None:
    assert [ConsumerOptions("g", block_ms=block_ms).wait_ms for block_ms in (0, 1, 1_000)] == [100, 100, 1_000]


@pytest.mark.parametrize(
    "limit",
    [
        ["--max-age", "nan"],
        ["--max-age", "inf"],
        ["--max-age", "-1"],
        ["--max-pending", "-1"],
        ["--max-lag", "-1"],
        ["--max-lag", "9" * 400],
    ],
)
@pytest.mark.parametrize("command", ["signal_lag", "watch_signals"])
def test_a_limit_that_would_never_alert_is_refused(redis_client: Any, command: str, limit: list[str]) -> None:
    with pytest.raises(CommandError, match=f"{limit[0]} must be 0 to 1,000,000,000,000, not "):
        run(command, *limit)


def test_lag_passes_its_limits_with_exit_status_one(redis_client: Any, signal_file: Path) -> None:
    run("publish_signals", str(signal_file))
    now = json.loads(run("signal_lag", "--json", "--max-lag", "20"))
    (group,) = now["groups"]
    assert set(group) == {
        "name", "pending", "lag", "lag_exact", "oldest_pending_seconds", "oldest_undelivered_seconds",
        "drain_seconds", "consumers", "consumers_alive", "deaths", "kind",
    }  # fmt: skip
    assert (now["length"], group["lag"], group["lag_exact"]) == (20, 20, True)
    with pytest.raises(CommandError, match="apex-group: 20 not delivered, 19 at most"):
        run("signal_lag", "--max-lag", "19")
    with pytest.raises(CommandError, match="the oldest waits for"):
        run("signal_lag", "--max-age", "0")


def test_a_range_is_delivered_again_to_a_group_of_its_own(redis_client: Any, signal_file: Path) -> None:
    run("publish_signals", str(signal_file))
    consume()
    entry_ids = [entry_id.decode() for entry_id, _ in redis_client.xrange(keys.LIVE)]
    assert (
        run("replay_signals", "--from", entry_ids[5], "--to", entry_ids[8], "--group", "audit")
        == "group=audit entries=4\n"
    )
    assert consume("--group", "audit") == "consumed=4 executed=0 duplicates=4 dead=0 reclaimed=0"
    with pytest.raises(CommandError, match="neither an entry id nor a time"):
        run("replay_signals", "--from", "soon", "--to", "2030-01-01", "--group", "audit")


def changes(timeframe: str) -> tuple[str, list[tuple[str, str, float]]]:
    return "2026-11-20", [("EURUSD=X", "bull", 0.9)]


def test_derived_signals_are_executed_once(redis_client: Any, settings: Any) -> None:
    settings.SIGNALS = settings.SIGNALS | {"CHANGES": f"{__name__}.changes"}
    assert run("derive_signals") == "cycle=2026-11-20 changes=1 published=1\n"
    assert run("derive_signals") == "cycle=2026-11-20 changes=1 published=0\n"
    consume()
    assert Execution.objects.get().symbol == "EURUSD=X"


def test_a_handler_of_ones_own(redis_client: Any, signal_file: Path) -> None:
    run("publish_signals", str(signal_file))
    assert (
        consume("--handler", "signals_app.services.handling.ignore")
        == "consumed=20 executed=20 duplicates=0 dead=0 reclaimed=0"
    )
    assert not Execution.objects.filter(signal_id=uuid.UUID(int=1)).exists()


def test_dead_letters_are_shown_redriven_and_removed(redis_client: Any) -> None:
    for number in range(4):
        redis_client.xadd(keys.LIVE, fields(number, direction="up" if number < 3 else "long"))
    consume()
    listing = run("signal_dead_letters", "--reason", "bad-direction", "--limit", "2").splitlines()
    assert [json.loads(line)["fields"]["direction"] for line in listing[:-1]] == ["up", "up"]
    assert listing[-1] == "show=2"
    assert run("signal_dead_letters", "--redrive", "--dry-run").splitlines()[-1] == "would redrive=3"
    assert redis_client.xlen(keys.LIVE) == 4
    assert run("signal_dead_letters", "--redrive", "--limit", "1").splitlines()[-1] == "redrive=1"
    assert redis_client.xlen(keys.LIVE) == 5
    assert run("signal_dead_letters", "--remove").splitlines()[-1] == "remove=2"
    assert redis_client.xlen(keys.DEAD) == 0


@pytest.mark.parametrize(
    ("option", "value"),
    [("--max-per-second", value) for value in ("nan", "inf", "0", "-1", "1e-300")] + [("--limit", "-1")],
)
def test_a_rate_or_limit_that_is_none_touches_no_letter(redis_client: Any, option: str, value: str) -> None:
    redis_client.xadd(keys.DEAD, fields(1))
    with pytest.raises(CommandError, match=f"{option} must be"):
        run("signal_dead_letters", "--remove", option, value)
    assert redis_client.xlen(keys.DEAD) == 1


def test_a_group_is_forgotten_after_a_question(
    redis_client: Any, signal_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no groups yet" in run("signal_groups")
    run("publish_signals", str(signal_file))
    assert "no live consumer: start consume_signals --group apex-group" in run("signal_groups")
    consume("--group", "slow")
    for answers in ("n\n", ""):  # "": nobody is there, as under cron
        monkeypatch.setattr("sys.stdin", io.StringIO(answers))
        with pytest.raises(CommandError, match=r"Nothing was changed\. Answer y, or give --yes\."):
            run("signal_groups", "--forget", "slow")
    assert "slow: 0 pending" in run("signal_groups")
    assert run("signal_groups", "--forget", "slow", "--yes").splitlines()[-1] == "Group slow is forgotten."
    assert "slow" not in run("signal_groups")
    with pytest.raises(CommandError, match="keep it"):
        run("signal_groups", "--forget", keys.DEFAULT_GROUP, "--yes")
